import Support
import Testing

@testable import Server

/// What a service manager says by variables, and what a process says to it.
struct ServiceEnvironmentTests {
  @Test func variablesForThisProcessCount() {
    let environment = ServiceEnvironment(
      [
        "NOTIFY_SOCKET": "@bcfg2", "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "42", "LISTEN_PID": "42",
        "LISTEN_FDS": "3", "LISTEN_FDNAMES": "bcfg2::unknown",
      ], process: 42)
    #expect(environment.notifySocket == "@bcfg2" && environment.watchdog == .microseconds(2_500_000))
    #expect(
      environment.passed == [
        .init(descriptor: 3, name: "bcfg2"), .init(descriptor: 4, name: nil), .init(descriptor: 5, name: nil),
      ])
    #expect(environment.problems.isEmpty)
  }

  @Test func variablesForAnotherProcessDoNot() {
    let environment = ServiceEnvironment(
      ["WATCHDOG_USEC": "1000", "WATCHDOG_PID": "41", "LISTEN_PID": "41", "LISTEN_FDS": "1"], process: 42)
    #expect(environment.watchdog == nil && environment.passed.isEmpty && environment.problems.isEmpty)
    // Without LISTEN_PID nothing says for whom descriptors are.
    #expect(ServiceEnvironment(["LISTEN_FDS": "1"], process: 42).passed.isEmpty)
    #expect(ServiceEnvironment(["WATCHDOG_USEC": "50000"], process: 42).watchdog == .milliseconds(50))
  }

  @Test(arguments: [
    ["NOTIFY_SOCKET": "relative"], ["NOTIFY_SOCKET": "vsock:2:1"],
    ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 107)], ["WATCHDOG_USEC": "0"], ["WATCHDOG_USEC": "-1"],
    ["WATCHDOG_USEC": "soon"], ["WATCHDOG_USEC": "1"], ["WATCHDOG_USEC": "9999"],
    ["LISTEN_PID": "42", "LISTEN_FDS": "-1"], ["LISTEN_PID": "42", "LISTEN_FDS": "65"],
    ["LISTEN_PID": "42", "LISTEN_FDS": "x"],
  ])
  func whatCannotBeUnderstoodIsAProblem(_ variables: [String: String]) {
    let environment = ServiceEnvironment(variables, process: 42)
    #expect(environment.problems.count == 1)
    #expect(environment.notifySocket == nil && environment.watchdog == nil && environment.passed.isEmpty)
  }

  /// Their numbers would soon be those of the server's own, which it then served or closed.
  @Test func descriptorsThatAreNotThereDoNotCount() {
    let environment = ServiceEnvironment(
      ["LISTEN_PID": "42", "LISTEN_FDS": "4", "LISTEN_FDNAMES": "bcfg2:x:bcfg2"], process: 42
    ) { $0 == 3 || $0 == 5 }
    #expect(environment.passed == [.init(descriptor: 3, name: "bcfg2"), .init(descriptor: 5, name: "bcfg2")])
    #expect(environment.problems == ["LISTEN_FDS=4, but these descriptors are not open: 4, 6"])
  }

  /// Seeds of the fuzz target: `NAME=value`, with zero bytes between.
  @Test func seedsNameDescriptorsInOrder() throws {
    for (name, bytes) in try Corpus.files("service-environment") {
      var variables: [String: String] = [:]
      for text in bytes.split(separator: 0) {
        let parts = text.split(separator: UInt8(ascii: "="), maxSplits: 1).map { String(decoding: $0, as: UTF8.self) }
        variables[parts[0]] = parts[1]
      }
      let environment = ServiceEnvironment(variables, process: 42)
      let count = ["all": 3, "many": 64][name] ?? 0
      #expect(environment.passed.map(\.descriptor) == Array(3..<Int32(3 + count)), "\(name)")
      #expect((environment.problems.count == 3) == (name == "wrong"), "\(name)")
    }
  }

  @Test func fewerNamesThanDescriptors() {
    let environment = ServiceEnvironment(
      ["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "metrics"], process: 42)
    #expect(environment.passed == [.init(descriptor: 3, name: "metrics"), .init(descriptor: 4, name: nil)])
  }

  @Test func aStatusIsOneLineOfBoundedLength() {
    #expect(NotifySocket.status("a\nREADY=1\u{7F}b") == "STATUS=a READY=1 b")
    #expect(NotifySocket.status(String(repeating: "x", count: 10_000)).utf8.count == 7 + 512)
  }

  @Test func nobodyIsTold() {
    let socket = NotifySocket(nil)
    #expect(!socket.isActive && socket.send(["READY=1"]))
    // A manager that has gone does not stop the process.
    let gone = NotifySocket("/nonexistent/notify")
    #expect(gone.isActive && !gone.send(["READY=1"]))
  }
}
