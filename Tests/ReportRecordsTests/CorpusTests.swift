import Support
import Testing

@testable import ReportRecords

/// Seeds of the fuzz targets, and every input that once trapped.
@Suite struct CorpusTests {
  /// What `cPickle` of Python 2.7 makes of a report, with protocol 0, 1 and 2, and of a list of two.
  @Test func picklesOfPythonAreRead() throws {
    let files = try Corpus.files("pickle").filter { $0.name.hasPrefix("python27-") }
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
    for (_, bytes) in try Corpus.files("pickle") { _ = try? Unpickler.read(bytes) }
    for (name, bytes) in try Corpus.files("report-segment") {
      var interactions: [Interaction] = []
      SpoolSegment.read(bytes) { part in
        if case .interaction(let interaction) = part { interactions.append(interaction) }
        return true
      }
      if name == "two" { #expect(interactions.count == 2 && interactions.first == RecordTests.full) }
    }
  }
}
