import Glibc
import Testing

@testable import ReportRecords

/// The files of Tests/Fuzz/Corpus/TARGET: seeds of the fuzz targets, and every input that once trapped.
@Suite struct CorpusTests {
  private static func corpus(_ target: String) throws -> [(name: String, bytes: [UInt8])] {
    let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
    let folder = "\(tests)/Fuzz/Corpus/\(target)"
    let directory = try #require(opendir(folder), "\(folder)")
    defer { closedir(directory) }
    var files: [(name: String, bytes: [UInt8])] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard !name.hasPrefix(".") else { continue }
      let file = try #require(fopen("\(folder)/\(name)", "rb"), "\(name)")
      defer { fclose(file) }
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
      files.append((name, bytes))
    }
    return files
  }

  /// What `cPickle` of Python 2.7 makes of a report, with protocol 0, 1 and 2, and of a list of two.
  @Test func picklesOfPythonAreRead() throws {
    let files = try Self.corpus("pickle").filter { $0.name.hasPrefix("python27-") }
    #expect(files.count == 4)
    for (name, bytes) in files {
      let value = try Unpickler.read(bytes)
      let reports = name == "python27-list" ? try #require(value.list) : [value]
      #expect(reports.count == (name == "python27-list" ? 2 : 1))
      for report in reports {
        #expect(report["hostname"]?.text == "old.example.com", "\(name)")
        #expect(report["metadata"]?["groups"]?.list == [.text("web"), .text("grün")], "\(name)")
        #expect(report["metadata"]?["categories"]?["os"]?.text == "deb")
        #expect(report["stats"]?.text?.contains("/etc/grün") == true)
      }
    }
  }

  @Test func noInputTraps() throws {
    for (_, bytes) in try Self.corpus("pickle") { _ = try? Unpickler.read(bytes) }
    let segments = try Self.corpus("report-segment")
    #expect(!segments.isEmpty)
    for (name, bytes) in segments {
      var interactions: [Interaction] = []
      SpoolSegment.read(bytes) { part in
        if case .interaction(let interaction) = part { interactions.append(interaction) }
        return true
      }
      if name == "two" { #expect(interactions.count == 2 && interactions.first == RecordTests.full) }
    }
  }
}
