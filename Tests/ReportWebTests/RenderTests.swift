import ReportStore
import Testing

@testable import ReportWeb

@Suite struct RenderTests {
  private static let evil = "<script>alert('1')</script>&\"\u{0}\u{1b}"

  /// A page with the text in every place that has text.
  private func page(_ text: String) -> Page {
    var page = Page(text)
    page.path = "/grid"
    page.filters = [("group", text)]
    page.hasTime = true
    page.time = text
    var table = Table("t", text, [.init("a", text), .init("b", "B", isNumber: true)])
    table.rows = [[Cell(text, link: "/x?" + URLCoding.encode(text), mark: .bad), Cell(3)]]
    var grid = Table("g", text, [.init("a", "A")])
    grid.isGrid = true
    grid.rows = [[Cell(text, link: "/y", mark: .clean)]]
    page.blocks = [
      .notice(.bad, text), .heading(text, id: "h"), .facts([Fact("f", text, Cell(text))]),
      .tiles([Tile(key: "n", count: 1, label: text, mark: .bad, link: "/")]), .table(table), .table(grid),
      .chart(Chart(key: "c", title: text, series: [.clean], bars: [.init(label: text, counts: [1])])),
      .text(LongText(key: "d", title: text, text: "+\(text)\n-\(text)\n?\(text)\n@@ \(text)\n \(text)", kind: .diff)),
      .text(LongText(key: "p", title: text, text: text, kind: .plain)), .names(title: text, key: "n", [Cell(text)]),
      .choices(label: text, [Choice(text: text, link: "/", isCurrent: true)]),
      .form(Form(title: text, action: "/", field: "q", label: text, value: text, type: "search", button: text)),
    ]
    return page
  }

  @Test func textStaysTextEverywhere() {
    let html = PageHTML.write(page(Self.evil), links: Links(prefix: ""), user: Self.evil)
    #expect(!html.contains("<script"))
    #expect(!html.contains("alert('"))
    #expect(!html.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
    #expect(html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}\u{fffd}"))
  }

  @Test func pagesHaveNoScriptAndNoStyleOfTheirOwn() {
    let html = PageHTML.write(page("x"), links: Links(prefix: "/p"))
    for forbidden in ["<script", "style=", "onclick", "<style", "http://", "https://", "javascript:"] {
      #expect(!html.contains(forbidden))
    }
    #expect(html.contains("href=\"/p/style.css\""))
  }

  @Test func jsonIsEscaped() {
    let json = PageJSON.write(page(Self.evil + "\\\n\u{2028}"))
    #expect(!json.contains("<"))
    #expect(json.contains(#"\u003cscript\u003ealert('1')\u003c/script\u003e\u0026\"\u0000\u001b\\\n\u2028"#))
    #expect(json.contains(#""t":[{"a":"#))
  }

  @Test func csvIsQuotedAndHasNoFormulas() throws {
    var page = Page("x")
    var table = Table("t", "T", [.init("a", "A"), .init("b", "B", isNumber: true)])
    table.rows = [
      [Cell("a,\"b\"\nc"), Cell(-3)], [Cell("=1+1"), Cell(.nothing)], [Cell("-x"), Cell(.decimal(0.5, digits: 2))],
    ]
    page.blocks = [.table(table)]
    #expect(PageCSV.write(page, table: nil) == "a,b\r\n\"a,\"\"b\"\"\nc\",-3\r\n'=1+1,\r\n'-x,0.50\r\n")
    #expect(PageCSV.write(page, table: "t") != nil)
    table.rows = ["x,\"\u{301},=1", " =1", "\u{ff1d}1", "a\"\u{200d}"].map { [Cell($0), Cell(.nothing)] }
    page.blocks = [.table(table)]
    #expect(
      PageCSV.write(page, table: nil).map { Array($0.unicodeScalars) }
        == Array("a,b\r\n\"x,\"\"\u{301},=1\",\r\n' =1,\r\n'\u{ff1d}1,\r\n\"a\"\"\u{200d}\",\r\n".unicodeScalars))
    #expect(PageCSV.write(page, table: "u") == nil)
  }

  @Test func buttonsAreNoPartOfData() throws {
    var page = Page("x")
    var table = Table("t", "T", [.init("a", "A"), .init("action", "Do")])
    var cell = Cell(.nothing)
    cell.button = Button(action: "/do", label: "Do", description: "Do it", fields: [("token", "secret")])
    table.rows = [[Cell("1"), cell]]
    page.blocks = [.table(table)]
    #expect(PageCSV.write(page, table: nil) == "a\r\n1\r\n")
    #expect(!PageJSON.write(page).contains("secret"))
  }

  @Test func numbersHaveTheirDigits() {
    #expect(Decimals.text(1.23456, digits: 3) == "1.235")
    #expect(Decimals.text(-0.004, digits: 2) == "0.00")
    #expect(Decimals.text(-1.5, digits: 1) == "-1.5")
    #expect(Decimals.text(2, digits: 0) == "2")
    #expect(Decimals.text(0.05, digits: 2) == "0.05")
  }

  @Test(arguments: [
    ("+a", DiffLines.Kind.added), ("- a", .removed), ("?  ^^", .hint), ("@@ -1 +1 @@", .place), ("--- a", .place),
    (" a", .same), ("", .same),
  ])
  func linesOfDiffsHaveKinds(line: String, kind: DiffLines.Kind) { #expect(DiffLines.Kind(line[...]) == kind) }

  @Test func longTextsAreCut() {
    #expect(DiffLines.limited(String(repeating: "a", count: DiffLines.limitBytes)).utf8.count == DiffLines.limitBytes)
    let cut = DiffLines.limited(String(repeating: "é", count: DiffLines.limitBytes))
    #expect(cut.utf8.count < DiffLines.limitBytes + 100)
    #expect(cut.hasSuffix("(the JSON of this page has the rest)"))
  }

  @Test func timesAreShownToTheSecond() throws {
    let time = try #require(ReportTime("2026-11-29 04:12:16.123456+01"))
    #expect(time.shown == "2026-11-29 04:12:16")
    #expect(time.path == "/2026-11-29/04-12")
    #expect(time.midnight.path == "/2026-11-29")
  }
}
