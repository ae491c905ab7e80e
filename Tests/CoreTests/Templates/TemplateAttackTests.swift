import Core
import CoreSupport
import EventLoop
import Glibc
import Repository
import Support
import Testing

/// A hostile template fails its own entry, and reaches nothing of the server.
@Suite(.serialized) struct TemplateAttackTests {
  /// Renders one template between two others by one process; returns its text or failure. The others are as ever.
  private func attack(
    _ code: String, conf: String = "", times: Int = 1
  ) async throws -> String {
    var text = ""
    try await RepositoryFixture.run(
      templates: [
        "a": "a $name\n", "m": "{% python\n\(code)\n%}\\\nend",
        "z": "{% python import os, re, json %}z ${os.sep} $name\n",
      ],
      conf: "[templates]\nprocesses = 1\n\(conf)"
    ) { fixture async throws in
      for _ in 0..<times {
        let entries = try await fixture.configuration(of: "one.example.com").children.flatMap(\.children)
        let others = entries.filter { $0.name != "/m" }.map { $0["failure"] ?? $0.text ?? "" }
        #expect(others == ["a /a\n", "z / /z\n"], "\(code)")
        let own = try #require(entries.first { $0.name == "/m" })
        text = own["failure"] ?? own.text ?? ""
      }
    }
    return text
  }

  private static let frame =
    "import os, struct, marshal\ndef frame(kind, request, value):\n    data = marshal.dumps(value, 2)\n    os.write(3, struct.pack('<IB3xQ', len(data), kind, request) + data)\n"

  /// The number of the request that is rendered.
  private static let number =
    "import sys\ndef number():\n    r = sys._getframe()\n    while 'request' not in r.f_locals: r = r.f_back\n    return r.f_locals['request']\n"

  @Test func whatIsNoMessageEndsTheProcess() async throws {
    let table = [
      ("import os\nos.write(3, b'x' * 100)", "it sent a message that makes no sense"),
      (
        "import os, struct\nos.write(3, struct.pack('<IB3xQ', 0xFFFFFFFF, 18, 1))",
        "it sent a message that makes no sense"
      ),
      (
        "import os, struct\nos.write(3, struct.pack('<IB3xQ', 1 << 27, 18, 1))",
        "it sent a message of 134217728 bytes"
      ),
      ("\(Self.frame)frame(18, 999, {'ok': True, 'index': 0, 'output': b''})", "it answered what was not asked"),
      ("\(Self.frame)frame(16, 0, {})", "it was ready twice"),
      ("\(Self.frame)frame(1, 1, {})", "it sent a message of another kind"),
      ("\(Self.frame)frame(18, 1, [[]] * 300000)", "more than 262144 values"),
      (
        "\(Self.frame)\(Self.number)frame(20, number(), '/etc/shadow')",
        "it named a file that is not in the repository"
      ),
      (
        "\(Self.frame)\(Self.number)frame(20, number(), repo + '/../x')",
        "it named a file that is not in the repository"
      ),
      (
        "\(Self.frame)\(Self.number)for i in range(4001): frame(20, number(), repo + '/%d' % i)",
        "it reads more than 4000 files"
      ),
      (
        "\(Self.frame)\(Self.number)frame(18, number(), {'ok': True, 'index': 1, 'output': b'', 'files': [('/etc/x', '')]})",
        "it answered what makes no sense"
      ),
      (
        "\(Self.frame)import sys\nr = sys._getframe()\nwhile 'request' not in r.f_locals: r = r.f_back\nfor i in range(300): frame(19, r.f_locals['request'], {'level': 'info', 'text': 'x'})",
        "it logs more than 200 lines"
      ),
    ]
    for (code, reason) in table {
      let text = try await attack(code)
      #expect(text.contains(reason), "\(code): \(text)")
    }
  }

  @Test func aCrashInCEndsTheProcess() async throws {
    let text = try await attack("import ctypes\nctypes.string_at(0)")
    #expect(text.contains("signal 11 (Segmentation fault), with [templates] memory of 512 MiB;"), "\(text)")
  }

  @Test func modulesAndStreamsAreThereForTheNextOne() async throws {
    for code in [
      "import sys\nfor n in list(sys.modules):\n    if n in ('os', 're', 'json', 'genshi', 'genshi.template'): del sys.modules[n]",
      "import sys\nsys.modules['os'] = sys.modules['re'] = None",
      "import sys\nsys.modules.clear()", "import sys, os\nsys.path[:] = []\nos.chdir('/tmp')\nsys.stdout = None",
      "import os\nfor n in (0, 1, 2): os.close(n)",
    ] {
      // Twice: what the first one leaves behind must not be there for the second.
      let text = try await attack(code, times: 2)
      #expect(text == "end" || text.hasPrefix("bind error"), "\(code): \(text)")
    }
  }

  @Test func processesThatAreLeftBehindEnd() async throws {
    // The second branch of a fork goes on as if it were the renderer.
    #expect(try await attack("import os\nos.fork()") == "end")
    let code = "import os, time\npid = os.fork()\nwhile pid == 0: time.sleep(60)"
    try await RepositoryFixture.run(templates: ["t": "{% python\n\(code)\n%}\\\n${pid}"]) { fixture async throws in
      let log = fixture.log
      let pid = try #require(pid_t(try await fixture.rendered("/t")))
      // It was killed together with the process that made it; it may not have been reaped.
      for _ in 0..<500 where Self.isAlive(pid) { try await fixture.core.loop.sleep(for: .milliseconds(10)) }
      #expect(!Self.isAlive(pid))
      #expect(log.lines.contains { $0.hasSuffix(": \(fixture.repository.path)/Cfg/t/t.genshi left a process behind") })
    }
    let sessions = try await attack("import os\nos.setsid()")
    #expect(sessions.contains("PermissionError"), "\(sessions)")
    let group = try await attack("import subprocess\nsubprocess.call(['/bin/true'], start_new_session=True)")
    #expect(group.contains("PermissionError"), "\(group)")
    #expect(try await attack("import subprocess\nassert subprocess.call('true; true', shell=True) == 0") == "end")
  }

  private static func isAlive(_ process: pid_t) -> Bool {
    guard let text = try? AtomicFile.readFile("/proc/\(process)/stat", limitBytes: 4096) else { return false }
    return !String(decoding: text, as: UTF8.self).contains(") Z ")
  }

  @Test func filesThatTemplatesWriteAreBounded() async throws {
    let text = try await attack(
      "import tempfile\nwith tempfile.TemporaryFile() as f:\n    for i in range(1024): f.write(b'x' * (1 << 20))")
    #expect(text.contains("File too large"), "\(text)")
  }

  @Test(.enabled(if: Confinement.canConfineWrites, "this kernel has no Landlock"))
  func theServersProcessIsOutOfReach() async throws {
    for code in [
      "import os\nopen('/proc/%d/environ' % os.getppid()).read()", "import os\nopen('/proc/%d/mem' % os.getppid())",
      "import os\nos.readlink('/proc/%d/fd/0' % os.getppid())",
    ] {
      let text = try await attack(code)
      #expect(text.contains("PermissionError"), "\(code): \(text)")
    }
  }

  @Test func otherProcessesKeepTheirLimitsAndPriorities() async throws {
    // Each of these calls changes nothing, even where it is allowed.
    for code in [
      "resource.prlimit(p, resource.RLIMIT_NOFILE)", "os.setpriority(os.PRIO_PROCESS, p, os.getpriority(0, p))",
      "os.setpriority(os.PRIO_USER, 0, os.getpriority(0, 0))", "os.sched_setaffinity(p, os.sched_getaffinity(p))",
      "os.sched_setscheduler(p, os.sched_getscheduler(p), os.sched_getparam(p))", "os.kill(p, 0)", "os.kill(-1, 0)",
      "fcntl.fcntl(0, 8, p)",
    ] {
      let text = try await attack("import fcntl, os, resource\np = os.getppid()\n\(code)")
      #expect(text.contains("PermissionError"), "\(code): \(text)")
    }
    let own =
      "import os, resource\nresource.setrlimit(resource.RLIMIT_CPU, (9, 9))\nos.nice(1)\nos.kill(os.getpid(), 0)"
    #expect(try await attack(own) == "end")
  }

  @Test func whatHasLeftItsParentEndsWithTheRendering() async throws {
    let code = """
      import os, time
      r, w = os.pipe()
      if os.fork() == 0:
          pid = os.fork()
          if pid == 0:
              while True: time.sleep(60)
          os.write(w, b'%d ' % pid)
          os._exit(0)
      pid = os.read(r, 20).decode()
      os.wait()
      """
    try await RepositoryFixture.run(templates: ["t": "{% python\n\(code)\n%}\\\n${pid.strip()}"]) {
      fixture async throws in
      let pid = try #require(pid_t(try await fixture.rendered("/t")))
      for _ in 0..<500 where Self.isAlive(pid) { try await fixture.core.loop.sleep(for: .milliseconds(10)) }
      #expect(!Self.isAlive(pid))
    }
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give a process to another user"))
  func anotherUsersRendererReadsNoKey() async throws {
    let folder = TemporaryDirectory()
    chmod(folder.path, 0o755)
    let key = folder.write("secret", to: "key", mode: 0o600)
    let text = try await attack("open('\(key)').read()", conf: "user = 65534\ngroup = 65534\n")
    #expect(text.contains("PermissionError"), "\(text)")
  }

  @Test func whatIsRecordedIsBounded() async throws {
    try await RepositoryFixture.run(templates: [
      "t": "${len([i for i in range(20000) if 'group-%d' % i in metadata.groups])}"
    ]) {
      fixture async throws in
      var reasons: [String] = []
      fixture.core.templates.onReport = { _, report in reasons = report.reasons }
      #expect(try await fixture.rendered("/t") == "0")
      #expect(reasons == ["reads more than is recorded"])
      #expect(fixture.core.templates.cacheCount.results == 0)
    }
  }
}
