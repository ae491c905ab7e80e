import Glibc
import Support
import Testing

@testable import EventLoop

/// Children that the kernel ends with their parent.
@MainActor @Suite struct BoundChildTests {
  /// Starts a program as a command does, and returns how it ended and what it wrote.
  private func run(
    _ arguments: [String], _ change: (inout ChildProcess.Configuration) -> Void = { _ in }
  ) async throws -> (ChildProcess.ExitStatus, String) {
    let folder = TemporaryDirectory()
    let path = folder.write("", to: "out")
    return try await LoopDriver.withLoop { loop in
      let file = try FileDescriptor.open(path, O_WRONLY)
      var configuration = ChildProcess.Configuration(arguments)
      configuration.standardOutput = .descriptor(file.rawValue)
      change(&configuration)
      ChildProcess.endWithParent = true
      let started = Result { try ChildProcess(configuration, on: loop) }
      ChildProcess.endWithParent = false
      let status = await (try started.get()).waitForExit()
      return (status, try folder.text("out"))
    }
  }

  @Test func theKernelEndsThem() async throws {
    let (status, text) = try await run(["setpriv", "--dump"])
    #expect(status == .exited(0) && text.contains("Parent death signal: KILL"), "\(text)")
  }

  @Test func theyStartAsOthersDo() async throws {
    let folder = TemporaryDirectory()
    // 3 is the folder that is listed.
    let script =
      #"pwd; echo "$A"; cat <&5; ls /proc/self/fd | tr -d '\n';"#
      + #" cut -d' ' -f5 /proc/$$/stat; echo $$; exit 3"#
    let file = try FileDescriptor.open(folder.write("five\n", to: "file"), O_RDONLY)
    let (status, text) = try await run(["sh", "-c", script]) {
      $0.environment = ["A": "b", "PATH": "/usr/bin:/bin"]
      $0.workingDirectory = folder.path
      $0.descriptors = [5: file.rawValue]
    }
    withExtendedLifetime(file) {}
    let lines = text.split(separator: "\n")
    #expect(status == .exited(3) && lines.count == 5, "\(text)")
    #expect(
      lines[1...2] == ["b", "five"] && lines[3].hasPrefix("01235") && lines[3].dropFirst(5) == lines[4], "\(text)")
  }

  @Test func aProgramThatIsMissingIsAnError() async throws {
    let error = await #expect(throws: SystemError.self) { _ = try await run(["/nosuch/program"]) }
    #expect(error?.errno == ENOENT)
  }
}
