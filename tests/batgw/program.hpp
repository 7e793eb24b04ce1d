// The built program as a process of its own. This machine needs no CAN for it: its interfaces are missing, which is no reason to
// end.
#pragma once

#include "tests/support/program_path.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batgw::test {

class Folder {
public:
    Folder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "batgw-test-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file(std::string_view name) const { return path_ + "/" + std::string{name}; }
    // Whole at once, as a careful editor does it.
    std::string write(std::string_view name, std::string_view text) const
    {
        std::ofstream{file(name) + "~"} << text;
        std::filesystem::rename(file(name) + "~", file(name));
        return file(name);
    }
    std::string read(std::string_view name) const
    {
        std::ifstream in{file(name)};
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }

private:
    std::string path_;
};

class Program {
public:
    explicit Program(const std::vector<std::string>& arguments)
    {
        std::vector<char*> argv{const_cast<char*>("batgw")};
        for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
        argv.push_back(nullptr);
        const std::string program = program_path(), out = folder_.file("out"), err = folder_.file("err");
        pid_ = ::fork();
        if (pid_ != 0) return;
        ::dup2(::open("/dev/null", O_RDONLY), 0);
        ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
        ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600), 2);
        ::execv(program.c_str(), argv.data());
        ::_exit(127);
    }
    ~Program()
    {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        wait(5);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void signal(int number) const { ::kill(pid_, number); }
    // Exit status; -1: still running; 128 + n: killed by signal n.
    int wait(double seconds)
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        for (int status = 0; pid_ > 0; std::this_thread::sleep_for(std::chrono::milliseconds{2})) {
            if (::waitpid(pid_, &status, WNOHANG) == pid_) {
                pid_ = 0;
                status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            } else if (std::chrono::steady_clock::now() > end)
                return -1;
        }
        return status_;
    }
    bool runs() { return wait(0) == -1; }
    pid_t pid() const { return pid_; }
    std::string out() const { return folder_.read("out"); }
    std::string err() const { return folder_.read("err"); }
    // A line with this in it, said since the last call that found one.
    bool says(std::string_view part, double seconds = 5)
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        while (std::chrono::steady_clock::now() < end) {
            const std::string text = err();
            if (const auto at = text.find(part, heard_); at != std::string::npos) {
                heard_ = at + part.size();
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        return false;
    }

private:
    Folder folder_;
    pid_t pid_ = -1;
    int status_ = -1;
    std::size_t heard_ = 0;
};

}  // namespace batgw::test
