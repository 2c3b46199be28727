// expect-error: two is not three
#ifndef VALID
#include "no_such_file.hpp"
#endif
