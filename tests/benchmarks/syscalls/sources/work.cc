// Static C++: streams, threads, futures, filesystem, regular expressions, exceptions, time.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <mutex>
#include <random>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
static std::atomic<int> signals{0};

static void files() {
    fs::create_directories("cc/deep");
    std::ofstream("cc/deep/a") << std::string(100000, 'x');
    fs::copy("cc/deep/a", "cc/b");
    fs::rename("cc/b", "cc/c");
    fs::create_symlink("c", "cc/l");
    fs::resize_file("cc/c", 10);
    fs::permissions("cc/c", fs::perms::owner_read);
    fs::last_write_time("cc/c", fs::file_time_type::clock::now());
    for (const auto &entry : fs::recursive_directory_iterator("cc")) std::cout << entry.path() << entry.is_symlink() << '\n';
    std::cout << fs::space("/").free << fs::canonical("cc/l") << fs::temp_directory_path() << '\n';
    std::ifstream in("cc/deep/a");
    std::stringstream text;
    text << in.rdbuf();
    fs::remove_all("cc");
}

static void threads() {
    std::mutex lock;
    std::condition_variable ready;
    std::shared_mutex shared;
    bool done = false;
    std::thread waiter([&] { std::unique_lock held(lock); ready.wait_for(held, std::chrono::seconds(1), [&] { return done; }); });
    { std::lock_guard held(lock); done = true; }
    ready.notify_all();
    waiter.join();
    std::vector<std::future<int>> all;
    for (int i = 0; i < 4; i++) all.push_back(std::async(std::launch::async, [&, i] { std::shared_lock held(shared); return i; }));
    for (auto &one : all) std::cout << one.get();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::cout << std::thread::hardware_concurrency() << std::random_device{}() << '\n';
}

int main(int count, char **arguments) {
    std::signal(SIGUSR1, [](int) { signals++; });
    std::string first = count > 1 ? arguments[1] : "";
    if (first == "serve") for (int i = 0; i < 100 && !signals; i++) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    try {
        std::locale::global(std::locale(""));
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
    }
    files();
    threads();
    std::cout << std::regex_replace(std::string("alpha beta"), std::regex("(\\w)a"), "$1") << '\n';
    try {
        fs::file_size("/nowhere");
    } catch (const fs::filesystem_error &error) {
        std::cerr << error.what() << '\n';
    }
    if (first == "errors") throw std::runtime_error("uncaught");
}
