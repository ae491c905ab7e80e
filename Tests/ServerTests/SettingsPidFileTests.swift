import Glibc
import Testing

@testable import Server

/// A pid file in a folder of its own.
private nonisolated final class PidFolder {
  let folder: String
  var path: String { folder + "/pid" }

  init(_ text: String? = nil) throws {
    var template = Array("/tmp/bcfg2-pid-XXXXXX\0".utf8CString)
    folder = String(cString: try #require(mkdtemp(&template)))
    if let text {
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
      try #require(write(descriptor, text, text.utf8.count) == text.utf8.count)
      close(descriptor)
    }
  }

  deinit {
    unlink(path)
    rmdir(folder)
  }

  var text: String? { (try? INIFile.contents(path: path)).map { String(decoding: $0, as: UTF8.self) } }
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
  let place = try PidFolder()
  let file = try PidFile.acquire(place.path)
  #expect(place.text == "\(getpid())\n" && file.replaced == nil)
  file.remove()
  #expect(place.text == nil)
  file.remove()
}

@Test(arguments: [("", 0), ("junk\n", 0), ("  999999999 \nmore\n", 999_999_999), ("-1", 0), ("0\n", 0)])
nonisolated func aStalePidFileIsReplaced(_ row: (text: String, replaced: pid_t)) throws {
  let place = try PidFolder(row.text)
  #expect(PidFile.holder(of: place.path) == nil)
  let file = try PidFile.acquire(place.path)
  #expect(file.replaced == row.replaced && place.text == "\(getpid())\n")
  file.remove()
}

@Test nonisolated func aRunningServerHoldsItsPidFileAndAnotherProgramDoesNot() throws {
  let server = try Sleeper(named: "bcfg2-server")
  defer { server.end() }
  let place = try PidFolder("\(server.process)\n")
  #expect(PidFile.holder(of: place.path) == server.process)
  let error = #expect(throws: PidFileError.self) { try PidFile.acquire(place.path) }
  #expect(
    error?.description == "Failed to acquire lock on \(place.path): process \(server.process) is running")
  #expect(place.text == "\(server.process)\n")

  let other = try Sleeper(named: "other")
  defer { other.end() }
  let reused = try PidFolder("\(other.process)\n")
  let file = try PidFile.acquire(reused.path)
  #expect(file.replaced == other.process)
  file.remove()
}

@Test nonisolated func aPidFileThatIsALinkOrHasNoFolderIsRefused() throws {
  let place = try PidFolder()
  try #require(symlink("/dev/null", place.path) == 0)
  #expect(throws: PidFileError.self) { try PidFile.acquire(place.path) }
  #expect(throws: PidFileError.self) { try PidFile.acquire(place.folder + "/none/pid") }
}

@Test nonisolated func theFolderOfAPidFileIsMade() throws {
  let place = try PidFolder()
  let path = place.folder + "/a/b/pid"
  try Daemonize.makeFolder(ofPidFile: path, user: getuid(), group: getgid())
  try Daemonize.makeFolder(ofPidFile: path, user: getuid(), group: getgid())
  var status = stat()
  #expect(stat(place.folder + "/a/b", &status) == 0 && status.st_mode & 0o777 == 0o755)
  rmdir(place.folder + "/a/b")
  rmdir(place.folder + "/a")
}
