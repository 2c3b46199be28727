// expect-error: two is not three
#ifndef VALID
static_assert(2 == 3, "two is not three");
static_assert(2 == 3, "two is not three");
static_assert(2 == 3, "two is not three");
#endif
