import CoreSupport
import Testing
import XMLRPC

@Test func memoryIsReported() async throws {
  try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: RepositoryFixture.settings("Guppy")) {
    fixture async throws in
    #expect(try await fixture.call("Guppy.Disable") == .nil)
    #expect(try await fixture.call("Guppy.Enable") == .nil)
    guard case .structure(let figures) = try await fixture.call("Guppy.Report") else {
      Issue.record("no structure")
      return
    }
    for name in ["VmRSS", "Threads", "Descriptors", "CachedMetadata"] {
      let figure = figures.first { $0.name == name }
      guard case .int(let value)? = figure?.value else {
        Issue.record("\(name) is missing")
        continue
      }
      #expect(value > 0 || name == "CachedMetadata", "\(name)")
    }
  }
}
