"""Tests of the programs of this folder: python3 -m unittest discover -s Tests/Conformance."""
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import answers  # noqa: E402
import casefile  # noqa: E402
import conform  # noqa: E402
import coverage  # noqa: E402
import report  # noqa: E402

CASE = {"description": "d", "plugins": ["Bundler"], "steps": [{"call": "GetConfig"}]}

# A server that knows no bcfg2.conf: its port, certificate and key are arguments. It answers the first line of repo/answer.
SERVER = """
    import http.server, ssl, sys, xmlrpc.client
    port, repo, certificate, key = int(sys.argv[1]), *sys.argv[2:5]
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            with open(repo + "/answer") as f:
                body = xmlrpc.client.dumps((f.readline().strip(),), methodresponse=True).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
"""


class ReadmeTests(unittest.TestCase):
    def test_the_cases_that_it_names_exist(self):
        with open(HERE + "/README.md") as file:
            commands = [line for line in file if line.startswith("    python3 conform.py ")]
        self.assertGreater(len(commands), 3)
        for command in commands:
            name = command.split("#")[0].split()[-1]
            if name[0].islower() and "-" in name and "." not in name and "/" not in name:
                self.assertTrue(os.path.isdir(HERE + "/cases/" + name), command)


class AnswerTests(unittest.TestCase):
    def tree(self, text, **step):
        return answers.answer_of(text, step)

    def test_orders_and_blanks_do_not_count(self):
        self.assertEqual(self.tree('<a x="1" y="2"><b/> <c/></a>'), self.tree('<a y="2" x="1"><c/>\n<b/></a>'))

    def test_texts_count(self):
        self.assertNotEqual(self.tree("<a>x</a>"), self.tree("<a>x </a>"))
        self.assertEqual(self.tree("<a>x</a>", loose_text=True), self.tree("<a>x </a>", loose_text=True))

    def test_a_failure_is_compared_by_presence(self):
        self.assertEqual(self.tree('<a failure="1"/>'), self.tree('<a failure="2"/>'))
        self.assertNotEqual(self.tree('<a failure="1"/>'), self.tree("<a/>"))
        self.assertNotEqual(self.tree('<a failure="1"/>', exact_failure=True), self.tree('<a failure="2"/>', exact_failure=True))

    def test_an_ignored_attribute_is_that_of_its_tag_only(self):
        self.assertEqual(self.tree('<a><b t="1"/></a>', ignore=["b@t"]), self.tree('<a><b t="2"/></a>', ignore=["b@t"]))
        self.assertNotEqual(self.tree('<a t="1"/>', ignore=["b@t"]), self.tree('<a t="2"/>', ignore=["b@t"]))

    def test_faults_are_compared_by_code(self):
        self.assertTrue(answers.same({"fault": 1, "string": "x"}, {"fault": 1, "string": "y"}))
        self.assertFalse(answers.same({"fault": 1, "string": "x"}, {"fault": 2, "string": "x"}))
        self.assertFalse(answers.same({"value": 1}, None))


class CaseTests(unittest.TestCase):
    def test_mistakes_are_found(self):
        self.assertEqual(casefile.mistakes(CASE), [])
        for wrong in ({"steps": [{"call": "x", "ignored": []}]}, {"steps": [{"settel": 1}]}, {"plugin": []},
                      {"plugins": "Bundler"}, {"requires": ["magic"]}, {"steps": [{"call": "x", "run": "y"}]}):
            with self.subTest(wrong):
                self.assertEqual(len(casefile.mistakes({**CASE, **wrong})), 1)

    def test_needs_are_those_of_plugins_steps_and_files(self):
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(folder + "/repo/Cfg/etc/x")
            os.makedirs(folder + "/www")
            open(folder + "/repo/Cfg/etc/x/x.genshi.H_one", "w").close()
            case = {**CASE, "dir": folder, "requires": ["git"], "conf": {"probes": {"use_database": "true"}},
                    "steps": [{"run": "bcfg2-info"}, {"sql": "SELECT 1"}, {"call": "GetConfig", "cert": "one"}]}
            self.assertEqual(casefile.needs_of(case), {"Bundler", "git", "tools", "bcfg2-info", "sql", "certificates",
                                                       "server", "use_database", "web", "genshi"})
            self.assertEqual(casefile.missing(case, ["sql", "web", "Cfg"]), "without sql, web")
            self.assertIsNone(casefile.missing(case, ["Cfg"]))

    def test_the_manual_names_all_that_can_be_left_out(self):
        with open(os.path.join(HERE, "README.md")) as f:
            manual = f.read()
        used = set().union(*(casefile.needs_of(case) for case in casefile.load(os.path.join(HERE, "cases"), [])))
        for name in set(casefile.NEEDS) | used & set(casefile.TOOLS):
            self.assertIn("`%s`" % name, manual)

    def test_all_cases_are_sound_and_recorded_step_by_step(self):
        for case in casefile.load(os.path.join(HERE, "cases"), []):
            recorded = conform.recordings(case)
            self.assertTrue(recorded, case["name"])
            for version, found in recorded.items():
                self.assertEqual(len(found), len(case["steps"]), "%s %s" % (case["name"], version))
                for step, answer in zip(case["steps"], found):
                    asked = any(kind in step for kind in ("call", "read", "run", "sql"))
                    self.assertEqual(answer is not None, asked, "%s %s %s" % (case["name"], version, step))

    def test_the_coverage_table_is_current(self):
        with open(os.path.join(HERE, "coverage.md")) as f:
            written = f.read()
        self.assertEqual(written, coverage.tables(casefile.load(os.path.join(HERE, "cases"), []), conform.recordings) + "\n",
                         "write it again: conform.py coverage > coverage.md")


class ReportTests(unittest.TestCase):
    RESULTS = [{"name": "a-1", "description": "d", "status": report.PASSED, "seconds": 1.0},
               {"name": "a-2", "description": "d", "status": report.FAILED, "seconds": 2.0, "reason": "x\x01 <y>"},
               {"name": "b", "description": "d", "status": report.SKIPPED, "seconds": 0.0, "reason": "without sql"}]

    def test_junit_has_counts_and_reasons(self):
        suite = ET.fromstring(report.junit(self.RESULTS, "n"))[0]
        self.assertEqual([suite.get(key) for key in ("tests", "failures", "skipped")], ["3", "1", "1"])
        self.assertEqual(suite[1][0].text, "x? <y>")
        self.assertEqual(suite[2][0].get("message"), "without sql")

    def test_the_exit_status_tells_whether_something_passed(self):
        self.assertEqual([report.status(part) for part in (self.RESULTS, self.RESULTS[:1], self.RESULTS[2:], [])], [1, 0, 3, 3])


class CommandTests(unittest.TestCase):
    """conform.py against a server that is not Bcfg2's in any way."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.makedirs(self.folder + "/cases/one/repo")
        with open(self.folder + "/cases/one/repo/answer", "w") as f:
            f.write("first\n")
        with open(self.folder + "/cases/one/case.json", "w") as f:
            json.dump({**CASE, "steps": [{"call": "GetConfig"}, {"write": "answer", "text": "second\n"}, {"call": "GetConfig"},
                                         {"restart": True}, {"call": "GetConfig"}]}, f)
        with open(self.folder + "/server.py", "w") as f:
            f.write(textwrap.dedent(SERVER))
        self.server = "%s %s/server.py @PORT@ @REPO@ @CERT@ @KEY@" % (sys.executable, self.folder)

    def run_it(self, *arguments, server=True):
        more = ["--server", self.server] if server else []
        done = subprocess.run([sys.executable, HERE + "/conform.py", *arguments, "--cases", self.folder + "/cases", *more],
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def test_a_case_is_recorded_and_checked(self):
        self.assertEqual(self.run_it("check")[0], 1)  # not recorded
        status, text = self.run_it("record", "--version", "9", "--settle", "0")
        self.assertEqual((status, text), (0, "recorded one 9\n"))
        with open(self.folder + "/cases/one/expected/9.json") as f:
            recorded = json.load(f)
        self.assertEqual(recorded, [{"value": "first"}, None, {"value": "second"}, None, {"value": "second"}])
        status, text = self.run_it("check", "--report", self.folder + "/r.json", "--report", self.folder + "/r.xml")
        self.assertEqual((status, text), (0, "ok   one\n1 passed, 0 failed, 0 skipped\n"))
        with open(self.folder + "/r.json") as f:
            self.assertEqual(json.load(f)["counts"], {"passed": 1, "failed": 0, "skipped": 0})
        self.assertEqual(ET.parse(self.folder + "/r.xml").getroot()[0].get("tests"), "1")
        status, text = self.run_it("check", "--without", "Bundler")
        self.assertEqual((status, text), (3, "skip one: without Bundler\n0 passed, 0 failed, 1 skipped\n"))
        status, text = self.run_it("check", "--version", "8")
        self.assertEqual((status, text), (3, "skip one: no answers of 8\n0 passed, 0 failed, 1 skipped\n"))
        with open(self.folder + "/cases/one/repo/answer", "w") as f:
            f.write("another\n")
        status, text = self.run_it("check")
        self.assertEqual(status, 1)
        self.assertIn('- {"value": "first"}\n      + {"value": "another"}', text)

    def test_a_server_that_ends_fails_its_case(self):
        self.assertEqual(self.run_it("record", "--version", "9", "--settle", "0")[0], 0)
        self.server = sys.executable + " -c exit(7) @PORT@"
        status, text = self.run_it("check")
        self.assertEqual(status, 1)
        self.assertIn("the server exited with status 7", text)

    def test_mistakes_of_the_command_line_have_a_status_of_their_own(self):
        for arguments in (["check", "--without", "magic"], ["check", "nosuch"], ["check", "--report", "x.txt"],
                          ["check", "--conf", "x"], ["record"]):
            with self.subTest(arguments):
                self.assertEqual(self.run_it(*arguments)[0], 2)
        self.assertEqual(self.run_it("check", server=False)[0], 2)
        self.server = "/nosuch/server"
        self.assertEqual(self.run_it("check")[0], 2)


if __name__ == "__main__":
    unittest.main()
