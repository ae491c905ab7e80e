import CLinux
import Glibc
import Support
import Testing

@testable import Server
@testable import ServerSettings

/// A pid file in a folder of its own.
private nonisolated struct PidFolder {
  let folder = TemporaryDirectory()
  var path: String { folder.file("pid") }

  init(_ text: String? = nil) {
    if let text { folder.write(text, to: "pid", mode: 0o600) }
  }

  var text: String? { try? folder.text("pid") }
}

/// A process of another name than its program's, that ends with `end`.
private nonisolated final class Sleeper {
  let process: pid_t

  init(named name: String) throws {
    var child: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(name), strdup("600"), nil]
    defer { for argument in arguments { free(argument) } }
    try #require(posix_spawn(&child, "/bin/sleep", nil, nil, &arguments, nil) == 0)
    process = child
    // posix_spawn returns in the middle of exec, before the new command line can be read.
    while let line = try? INIFile.contents(path: "/proc/\(child)/cmdline"), line.isEmpty { sched_yield() }
  }

  func end() {
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
  }
}

@Test nonisolated func aPidFileIsWrittenAndRemoved() throws {
  let place = PidFolder()
  let file = try PidFile.acquire(place.path)
  #expect(place.text == "\(getpid())\n" && file.replaced == nil)
  file.remove()
  #expect(place.text == nil)
  file.remove()
}

@Test(arguments: [("", 0), (" \n", 0), ("  999999999 \nmore\n", 999_999_999), ("-1", 0), ("0\n", 0)])
nonisolated func aStalePidFileIsReplaced(_ row: (text: String, replaced: pid_t)) throws {
  let place = PidFolder(row.text)
  #expect(PidFile.holder(of: place.path) == nil)
  let file = try PidFile.acquire(place.path)
  #expect(file.replaced == row.replaced && place.text == "\(getpid())\n")
  file.remove()
}

@Test nonisolated func aRunningServerHoldsItsPidFileAndAnotherProgramDoesNot() throws {
  let server = try Sleeper(named: "bcfg2-server")
  defer { server.end() }
  let place = PidFolder("\(server.process)\n")
  #expect(PidFile.holder(of: place.path) == server.process)
  let error = #expect(throws: PidFileError.self) { try PidFile.acquire(place.path) }
  #expect(
    error?.description == "Failed to acquire lock on \(place.path): process \(server.process) is running")
  #expect(place.text == "\(server.process)\n")

  let other = try Sleeper(named: "other")
  defer { other.end() }
  let reused = PidFolder("\(other.process)\n")
  let file = try PidFile.acquire(reused.path)
  #expect(file.replaced == other.process)
  file.remove()
}

@Test nonisolated func aNumberThatAnotherProcessGotLaterIsStale() throws {
  // Both run something of Bcfg2, but not the server that wrote the file.
  for name in ["bcfg2-server", "/usr/bin/less"] {
    let process = try Sleeper(named: name)
    defer { process.end() }
    let place = PidFolder("\(process.process)\n")
    if name == "bcfg2-server" {
      var times = [timespec(tv_sec: time(nil) - 3600, tv_nsec: 0), timespec(tv_sec: time(nil) - 3600, tv_nsec: 0)]
      try #require(utimensat(AT_FDCWD, place.path, &times, 0) == 0)
    }
    #expect(PidFile.holder(of: place.path) == nil)
    let file = try PidFile.acquire(place.path)
    #expect(file.replaced == process.process)
    file.remove()
  }
}

@Test(arguments: [
  (["bcfg2-server"], true), (["/usr/sbin/bcfg2-server", "-D", "/run/pid"], true),
  (["/usr/bin/python3", "/usr/sbin/bcfg2-server", "-D", "x"], true), (["python2.7", "-E", "bcfg2-server"], true),
  (["vi", "/etc/bcfg2.conf"], false), (["tail", "-f", "/var/log/bcfg2-server"], false),
  (["python3", "bcfg2-admin"], false),
  (["sh", "bcfg2-server"], false), ([], false), (["python3"], false),
])
nonisolated func aServerIsKnownByItsProgram(_ row: (arguments: [String], isServer: Bool)) {
  #expect(ProcessImage(arguments: row.arguments, started: 0).isServer == row.isServer)
}

@Test nonisolated func theStartOfAProcessIsRead() throws {
  guard case .running(let image) = ProcessImage.inspect(getpid()) else {
    Issue.record("this process does not run")
    return
  }
  #expect(image.started > 1_600_000_000 && image.started <= Int64(time(nil)) + 2)
  #expect(ProcessImage.startTime(Array("1 (a) b) S".utf8)) == nil && ProcessImage.startTime([]) == nil)
  guard case .gone = ProcessImage.inspect(999_999_999) else {
    Issue.record("a process of this number is unlikely")
    return
  }
}

@Test(arguments: ["junk\n", "-----BEGIN PRIVATE KEY-----\n", String(repeating: "1", count: 1000)])
nonisolated func aFileThatIsNoPidFileIsNotOverwritten(_ text: String) throws {
  let place = PidFolder(text)
  let error = #expect(throws: PidFileError.self) { try PidFile.acquire(place.path) }
  let reason = "it holds something other than the number of a process; name another file, or remove this one"
  #expect(error?.description == "open \(place.path): \(reason)")
  #expect(place.text == text)
}

@Test nonisolated func aPidFileThatIsNoFileOrHasNoFolderIsRefused() throws {
  let place = PidFolder()
  try #require(symlink("/dev/null", place.path) == 0)
  let link = #expect(throws: PidFileError.self) { try PidFile.acquire(place.path) }
  #expect(link?.description == "open \(place.path): a symbolic link, which a pid file must not be")
  unlink(place.path)
  try #require(mkfifo(place.path, 0o600) == 0)
  #expect(PidFile.holder(of: place.path) == nil)
  let fifo = #expect(throws: PidFileError.self) { try PidFile.acquire(place.path) }
  #expect(fifo?.description == "open \(place.path): a FIFO, not a regular file")
  #expect(throws: PidFileError.self) { try PidFile.acquire(place.folder.file("none/pid")) }
}

@Test nonisolated func theFolderOfAPidFileIsMade() throws {
  let place = PidFolder()
  let path = place.folder.file("a/b/pid")
  try Daemonize.makeFolder(ofPidFile: path, user: getuid(), group: getgid())
  try Daemonize.makeFolder(ofPidFile: path, user: getuid(), group: getgid())
  var status = stat()
  #expect(stat(place.folder.file("a/b"), &status) == 0 && status.st_mode & 0o777 == 0o755)
}
