/// What a page says: HTML, JSON and CSV are written from it.
struct Page {
  var title: String
  /// The path of this page without its suffix, below the prefix, for links to itself.
  var path = ""
  /// What its query has to keep for its other formats: `sort=-bad`.
  var query = ""
  /// The point in time that it shows; nil: now.
  var time: String?
  /// Whether it can show another time.
  var hasTime = false
  /// What limits it: `server` and a name.
  var filters: [(name: String, value: String)] = []
  /// The entry of the menu that it belongs to.
  var menu: String?
  var blocks: [Block] = []

  init(_ title: String, menu: String? = nil) {
    self.title = title
    self.menu = menu
  }
}

/// A part of a page.
enum Block {
  /// A sentence that stands out.
  case notice(Notice, String)
  case heading(String, id: String)
  case facts([Fact])
  /// A few numbers that everything else explains.
  case tiles([Tile])
  case table(Table)
  case chart(Chart)
  case text(LongText)
  /// Names without more.
  case names(title: String, key: String, [Cell])
  /// Choices that lead to variants of this page.
  case choices(label: String, [Choice])
  case form(Form)
}

enum Notice: String { case good, warning, bad }

/// A name and what it is.
struct Fact {
  var key: String
  var name: String
  var value: Cell

  init(_ key: String, _ name: String, _ value: Cell) {
    self.key = key
    self.name = name
    self.value = value
  }
}

struct Tile {
  var key: String
  var count: Int
  var label: String
  var mark: Mark
  var link: String?
}

struct Choice {
  var text: String
  var link: String
  var isCurrent: Bool
}

/// A long text, lines and all.
struct LongText {
  enum Kind { case plain, diff }

  var key: String
  var title: String
  var text: String
  var kind: Kind
}

/// A field of a form that is filled in.
struct Form {
  var title: String
  var action: String
  var isPost = false
  var field: String
  var label: String
  var value: String
  var type: String
  var button: String
  var hidden: [(String, String)] = []
}

/// How something is. Pages show a sign and a word with each colour.
enum Mark: String {
  case clean, dirty, bad, modified, extra, stale, good, failed, expired, unknown

  /// The sign before the word.
  var sign: String {
    switch self {
    case .clean, .good: "✓"
    case .dirty, .bad, .failed: "✗"
    case .modified: "±"
    case .extra: "+"
    case .stale: "◷"
    case .expired: "∅"
    case .unknown: "?"
    }
  }
}

/// A value of a table or fact.
struct Cell {
  enum Value {
    case text(String)
    case number(Int)
    case decimal(Double, digits: Int)
    case nothing
  }

  var value: Value
  var link: String?
  var mark: Mark?
  /// A button that sends a form in place of the value.
  var button: Button?

  init(_ text: String, link: String? = nil, mark: Mark? = nil) {
    value = .text(text)
    self.link = link
    self.mark = mark
  }

  init(_ number: Int, link: String? = nil, mark: Mark? = nil) {
    value = .number(number)
    self.link = link
    self.mark = mark
  }

  init(_ value: Value) { self.value = value }

  /// A state's word, with its sign.
  init(_ mark: Mark, link: String? = nil) { self.init(mark.rawValue, link: link, mark: mark) }

  var text: String {
    switch value {
    case .text(let text): text
    case .number(let number): String(number)
    case .decimal(let number, let digits): Decimals.text(number, digits: digits)
    case .nothing: ""
    }
  }
}

struct Button {
  var action: String
  var label: String
  /// What a screen reader says: the label alone would be the same in each row.
  var description: String
  var fields: [(String, String)]
}

/// Rows under columns.
struct Table {
  struct Column {
    var key: String
    var title: String
    var isNumber = false
    /// The link that sorts by this column, and the order that is in effect.
    var sortLink: String?
    var order: Order?

    enum Order: String { case ascending, descending }

    init(_ key: String, _ title: String, isNumber: Bool = false) {
      self.key = key
      self.title = title
      self.isNumber = isNumber
    }
  }

  /// The name in JSON, in `?table=`, and of its place in the page.
  var key: String
  var title: String
  var columns: [Column]
  var rows: [[Cell]] = []
  /// Each row is one small box in place of a line: the grid.
  var isGrid = false
  /// How many rows there are, if more than those here.
  var total: Int?
  var pager: Pager?
  /// What it says without rows.
  var empty = "Nothing."
  /// A link to all of it.
  var more: String?

  init(_ key: String, _ title: String, _ columns: [Column]) {
    self.key = key
    self.title = title
    self.columns = columns
  }
}

/// Which part of a long table is shown.
struct Pager {
  var page: Int
  var pages: Int
  var previous: String?
  var next: String?
  var first: String?
  var last: String?
  /// Links to other sizes.
  var sizes: [Choice] = []
}

/// Counts over time.
struct Chart {
  struct Bar {
    var label: String
    var counts: [Int]
  }

  var key: String
  var title: String
  var series: [Mark]
  var bars: [Bar]
}

enum Decimals {
  /// A number with so many digits after the point, rounded half away from zero.
  static func text(_ value: Double, digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 1e15 else { return "\(value)" }
    let whole = Int(scaled)
    let divisor = Int(scale)
    let sign = value < 0 && whole != 0 ? "-" : ""
    guard digits > 0 else { return sign + String(whole) }
    let fraction = String(whole % divisor)
    return sign + String(whole / divisor) + "." + String(repeating: "0", count: digits - fraction.count) + fraction
  }
}
