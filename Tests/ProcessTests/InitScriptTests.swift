import EventLoop
import Glibc
import Support
import Testing

/// The init scripts, which root runs, and their pid file, which is the server's user's.
struct InitScriptTests {
  private let folder = TemporaryDirectory()

  /// What `status` says after a shell has done something; `pid` is the file, and $daemon the program.
  private func status(_ name: String, after preparation: String) async throws -> (
    status: ChildProcess.ExitStatus, out: String
  ) {
    let daemon = folder.file(name)
    let script = try Project.text("packaging/sysv/\(name).init").split(
      separator: "\n", omittingEmptySubsequences: false
    ).map {
      $0.hasPrefix("DAEMON=")
        ? "DAEMON=\(daemon)" : $0.hasPrefix("PIDFILE=") ? "PIDFILE=\(folder.file("pid"))" : String($0)
    }
    folder.write(script.joined(separator: "\n"), to: "\(name).init")
    return try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        [
          "/bin/sh", "-c", "cd \(folder.path); rm -f pid; cp /bin/sleep \(name) 2>/dev/null; \(preparation)",
          "bcfg2-server",
        ],
        timeout: .seconds(60), outputLimitBytes: 1 << 16, on: loop)
      return (result.status, String(decoding: result.standardOutput, as: UTF8.self))
    }
  }

  @Test(arguments: ["bcfg2-server", "bcfg2-report-collector"])
  func onlyTheDaemonIsSignalled(_ name: String) async throws {
    // Its program, however it was started, also after its file was replaced; and nothing else.
    let absolute = "\(folder.file(name)) 60 & echo $! > pid; "
    let own = try await status(
      name, after: absolute + "sh ./\(name).init status; code=$?; sh ./\(name).init stop; exit $code")
    #expect(own.status.isSuccess && own.out.contains("is running (pid ") && own.out.contains("Stopped"))
    let old = try await status(
      name, after: "./\(name) 60 & echo $! > pid; rm \(name); cp /bin/sleep \(name); sh ./\(name).init stop")
    #expect(old.status.isSuccess && old.out.contains("Stopped"))
    for (preparation, what) in [
      ("echo $$ > pid; exec sh ./\(name).init status", "a process with the name among its arguments"),
      ("sleep 60 & echo $! > pid; sh ./\(name).init status; code=$?; kill $!; exit $code", "another program"),
      (absolute + "mv pid real; ln -s real pid; sh ./\(name).init status; code=$?; kill $!; exit $code", "a link"),
      (
        absolute + "mkfifo fifo; mv pid real; mv fifo pid; sh ./\(name).init status; code=$?; kill $!; exit $code",
        "a FIFO"
      ),
      ("truncate -s 1T pid; sh ./\(name).init status", "a file without an end"),
      ("echo 1 2 > pid; sh ./\(name).init status", "two numbers"),
      ("echo -1 > pid; sh ./\(name).init status", "a group"),
      ("sh ./\(name).init status", "no file"),
    ] {
      let outcome = try await status(name, after: preparation)
      #expect(!outcome.status.isSuccess && !outcome.out.contains("is running"), "\(what): \(outcome.out)")
    }
  }
}
