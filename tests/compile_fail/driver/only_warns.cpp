// expect-error: two is not three
#ifndef VALID
#warning two is not three
#endif
