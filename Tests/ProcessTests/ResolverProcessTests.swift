import Glibc
import Support
import Testing

@testable import EventLoop
@testable import Repository

struct ResolverProcessTests {
  @Test func theServersExecutableIsItsOwnHelper() async throws {
    let program = try #require(FileSystem.linkTarget("/proc/self/exe"))
    let folder = program[..<(try #require(program.lastIndex(of: "/")))]
    try await LoopDriver.withLoop { loop in
      var helpers: [() -> Void] = []
      let start = ResolverHelper.process.start("\(folder)/bcfg2-server")
      let resolver = HostResolver(on: loop) { socket, loop throws(SystemError) in
        let kill = try start(socket, loop)
        helpers.append(kill)
        return kill
      }
      #expect(await resolver.name(of: "127.0.0.1") == "localhost")
      #expect(await resolver.addresses(of: "127.0.0.9") == ["127.0.0.9"])
      #expect(helpers.count == 1)
      helpers[0]()
      #expect(await resolver.addresses(of: "127.0.0.10") == ["127.0.0.10"])
      #expect(helpers.count == 2)
      resolver.shutdown()
    }
  }
}
