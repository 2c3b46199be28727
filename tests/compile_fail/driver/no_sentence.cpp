// a file that promises nothing
static_assert(2 == 2);
