import Databases
import Testing

@testable import LoopDatabases

struct StatementFramesTests {
  @Test func statementsComeBackAsTheyWere() throws {
    let statements = [
      LoopStatement("SELECT ?", [nil, 1, -1, .real(0.5), "", "ä\0", true, false]), LoopStatement("COMMIT"),
    ]
    #expect(try StatementFrames.statements(StatementFrames.bytes(of: statements)[...]) == statements)
    let results = [
      StatementResult(rows: [[1], [nil]], changes: 0), StatementResult(changes: 3),
    ]
    #expect(try StatementFrames.results(StatementFrames.bytes(of: results)[...]) == results)
    var settings = DatabaseSettings(engine: .mysql, name: "n")
    settings.user = "u"
    settings.password = ""
    settings.port = 3306
    settings.options = ["a": "b"]
    #expect(try StatementFrames.settings(StatementFrames.bytes(of: settings)[...]) == settings)
  }

  @Test func cutAndWrongBytesAreRefused() {
    let bytes = StatementFrames.bytes(of: [StatementResult(rows: [["text"]], changes: 1)])
    for count in 0..<bytes.count {
      #expect(throws: StatementFrames.Malformed.self) { _ = try StatementFrames.results(bytes[..<count]) }
    }
    #expect(throws: StatementFrames.Malformed.self) { _ = try StatementFrames.results((bytes + [0])[...]) }
    #expect(throws: StatementFrames.Malformed.self) { _ = try StatementFrames.results([255, 255, 255, 255]) }
  }
}
