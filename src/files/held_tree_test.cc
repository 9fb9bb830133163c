#include "files/held_tree.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace numapin {
namespace {

class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0)
      while (true) pause();
  }
  ~Child() { end(); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  std::string file(const char* name) const { return "/proc/" + std::to_string(pid_) + "/" + name; }

 private:
  pid_t pid_;
};

TEST(HeldTree, ReadsWhatTheLiveTreeReads) {
  const Child child;
  const HeldTree tree(10);
  const auto live = make_dir_tree("/");
  for (const char* name : {"stat", "limits", "maps"}) {
    const auto held = tree.read(child.file(name));
    ASSERT_TRUE(held) << name;
    EXPECT_EQ(*held, *tree.read(child.file(name))) << "the second time too";
    EXPECT_EQ(*held, *live->read(child.file(name))) << name;
  }
  EXPECT_EQ(tree.held(), 3U);
}

TEST(HeldTree, AnEndedProcessIsNotFoundAndLetGo) {
  Child child;
  const HeldTree tree(10);
  const auto path = child.file("stat");
  ASSERT_TRUE(tree.read(path));
  child.end();
  const auto gone = tree.read(path);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, Error::Kind::kNotFound);
  EXPECT_EQ(tree.held(), 0U);
  EXPECT_EQ(tree.read(path).error().kind, Error::Kind::kNotFound);
}

TEST(HeldTree, HoldsNoMoreThanItMayAndClosesWhatIsNotRead) {
  const Child child;
  HeldTree tree(1);
  ASSERT_TRUE(tree.read(child.file("stat")));
  ASSERT_TRUE(tree.read(child.file("status"))) << "read all the same";
  EXPECT_EQ(tree.held(), 1U);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(tree.read(child.file("stat")));
    tree.sweep();
    EXPECT_EQ(tree.held(), 1U) << "in use";
  }
  for (int i = 0; i < 3; ++i) tree.sweep();
  EXPECT_EQ(tree.held(), 0U);
}

}  // namespace
}  // namespace numapin
