// expect-error: two is not three
static_assert(2 == 2, "two is not three");
