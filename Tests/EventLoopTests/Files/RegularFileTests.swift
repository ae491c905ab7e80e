import EventLoop
import Glibc
import Support
import Testing

@MainActor struct RegularFileTests {
  private let folder = TemporaryDirectory()

  private func reason(_ path: String, limitBytes: Int = 100) -> String? {
    do throws(SystemError) {
      _ = try RegularFile.read(path, limitBytes: limitBytes)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func whatIsNoRegularFileIsRefusedWithoutWaiting() throws {
    // Nobody writes to the FIFO: to open it the usual way would wait for ever.
    try #require(mkfifo(folder.file("fifo"), 0o600) == 0)
    try #require(symlink("fifo", folder.file("link")) == 0)
    let path = SocketAddress.unix(folder.file("socket"))
    let socket = try Listener.bind(to: path)
    #expect(reason(folder.file("fifo")) == "a FIFO, not a regular file")
    #expect(reason(folder.file("link")) == "a FIFO, not a regular file")
    #expect(reason(folder.file("socket")) == "a socket, not a regular file")
    #expect(reason("/dev/null") == "a character device, not a regular file")
    #expect(reason(folder.path) == "a folder, not a regular file")
    #expect(reason(folder.file("none")) == "No such file or directory")
    #expect(throws: SystemError.self) { try AtomicFile.readFile(folder.file("fifo"), limitBytes: 1) }
    _ = consume socket
  }

  @Test func aFileIsReadUpToItsLimit() throws {
    let path = folder.write("0123456789", to: "file")
    #expect(try RegularFile.read(path, limitBytes: 10) == Array("0123456789".utf8))
    #expect(reason(path, limitBytes: 9) == "more than 9 bytes")
    #expect(try RegularFile.read(folder.write("", to: "empty"), limitBytes: 0) == [])
    // Files of /proc say that they are empty.
    #expect(try RegularFile.read("/proc/self/status", limitBytes: 1 << 16).count > 100)
    #expect(reason("/proc/self/status", limitBytes: 100) == "more than 100 bytes")
  }
}
