// expect-error: two is not three
#ifndef VALID
#warning noise 1
#warning noise 2
#warning noise 3
#warning noise 4
#warning noise 5
#warning noise 6
#warning noise 7
#warning noise 8
#warning noise 9
static_assert(2 == 3, "two is not three");
#endif
