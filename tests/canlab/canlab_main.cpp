// doctest with the suites' own way of telling: one line `ok WHAT` or `not ok WHAT: WHY` per case, measurements as `# ...`.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <chrono>
#include <iostream>
#include <string>

namespace {

class Lines : public doctest::IReporter {
public:
    explicit Lines(const doctest::ContextOptions& options) : out_{*options.cout} {}
    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats& run) override { out_ << "# " << run.numAsserts << " checks\n" << std::flush; }
    void test_case_start(const doctest::TestCaseData& test) override
    {
        test_ = &test;
        why_.clear();
    }
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_end(const doctest::CurrentTestCaseStats& result) override
    {
        out_ << (result.testCaseSuccess ? "ok " : "not ok ") << test_->m_name << (why_.empty() ? "" : ": ") << why_ << "  # "
             << result.seconds << " s\n"
             << std::flush;
    }
    void test_case_exception(const doctest::TestCaseException& e) override { add(std::string{e.error_string.c_str()}); }
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData& a) override
    {
        if (!a.m_failed) return;
        std::string text = std::to_string(a.m_line) + ": " + a.m_expr;
        if (a.m_decomp.size() > 0) text += std::string{" ("} + a.m_decomp.c_str() + ")";
        if (a.m_threw) text += std::string{" threw "} + a.m_exception.c_str();
        add(text);
    }
    void log_message(const doctest::MessageData& m) override { out_ << "# " << m.m_string.c_str() << "\n"; }
    void test_case_skipped(const doctest::TestCaseData&) override {}

private:
    void add(std::string text)
    {
        for (char& c : text)
            if (c == '\n') c = ' ';
        why_ += (why_.empty() ? "" : "; ") + text;
    }
    std::ostream& out_;
    const doctest::TestCaseData* test_ = nullptr;
    std::string why_;
};

REGISTER_REPORTER("canlab", 1, Lines);

}  // namespace

int main(int argc, char** argv)
{
    doctest::Context context;
    context.setOption("reporters", "canlab");
    context.applyCommandLine(argc, argv);
    return context.run();
}
