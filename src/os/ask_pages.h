// Where single pages of another process are: move_pages(2), asked only.
#pragma once

#include "diagnose/page_sample.h"

namespace numapin {

AskPages ask_pages_of(int pid);

}  // namespace numapin
