import Glibc
import ServerSettings
import Support
import Testing

/// What `ConfigParser.ConfigParser().get("a", "x")` of Python 2.7 gave for these files, recorded.
private nonisolated let recorded: [(file: String, x: String?)] = [
  ("[a]\nx = 1\n", "1"),
  ("[a]\nx=1\ny: 2\n", "1"),
  ("[a]\nX = 1\n", "1"),
  ("[a]\nx = one\n  two\n\tthree\n", "one\ntwo\nthree"),
  ("[a]\nx = one\n\n  two\n", "one\ntwo"),
  ("[a]\nx = one ; c\n", "one"),
  ("[a]\nx = one;c\n", "one;c"),
  ("[a]\nx = a;b ; c\n", "a;b ; c"),
  ("[a]\nx = ;c\n", ";c"),
  ("[a]\nx = ;c \n", ""),
  ("[a]\nx = \"\"\n", ""),
  ("[a]\nx = \n", ""),
  ("[a]\nx = 1\nx = 2\n", "2"),
  ("[a]\nx=1\n[b]\ny=2\n[a]\nz=3\n", "1"),
  ("[DEFAULT]\nx=0\n[a]\n", "0"),
  ("[DEFAULT]\nx=0\n", nil),
  ("[a]\nx = %(y)s/b\ny = r\n", "r/b"),
  ("[a]\nx = %(Y)s\ny = r\n", "r"),
  ("[a]\nx = 100%\n", "100%"),
  ("[a]\nx = 100%%\n", "100%%"),
  ("[a]\nx = 5%% %(y)s\ny = r\n", "5% r"),
  ("[a]\nx = %(y)s\ny = 50%%\n", "50%%"),
  ("[a]\nx = %%(y)s\ny=r\n", "r"),
  ("[a]\nx = %(__name__)s\n", "a"),
  ("# c\n; c\nrem c\nREM\n[a]\nx=1\n# d\n", "1"),
  ("[a]\nremark = 1\nx=1\n", "1"),
  ("[a]\nx = one\n  # not a comment\n", "one\n# not a comment"),
  ("[a] junk\nx=1\n", "1"),
  ("[ a ]\nx=1\n", nil),
  ("[a]\r\nx = 1\r\n", "1"),
  ("[a]\nx y = 1\n", nil),
  ("[a]\nx = 1 = 2 : 3\n", "1 = 2 : 3"),
  ("[a]\nx = 'é'\n", "'é'"),
  ("[a]\nrem = 1\nx=2\n", "2"),
  ("[a]\nx = one\n  b = 2\n", "one\nb = 2"),
  ("[A]\nx=1\n", nil),
  ("[a]\nx = one # c\n", "one # c"),
  ("[a]\nx = one\n  two ; c\n", "one\ntwo ; c"),
  ("[a]\nx = %(y)s\n[DEFAULT]\ny = d\n", "d"),
  ("[a\u{0B}]\nx = 1\u{0B}\n", nil),
  ("[a]]\nx=1\n", "1"),
]

@Test(arguments: recorded) nonisolated func iniValuesAreThoseOfConfigParser(_ row: (file: String, x: String?)) throws {
  #expect(try INIFile(bytes: Array(row.file.utf8), path: "f").value("a", "x") == row.x)
}

/// ConfigParser raises for these, too (`5% %(y)s` apart, which it reads as a format flag); the line is ours.
@Test(arguments: [
  ("[a]\nx = %(x)s\n", 2), ("[a]\nx = %(no)s\n", 2), ("[a]\nx = 5% %(y)s\ny=r\n", 2), ("x = 1\n", 1),
  ("[a]\n  x = 1\n", 2), ("[a]\njunk\n", 2), ("[a]\n= 1\n", 2), ("[]\nx=1\n[a]\nx=2\n", 1), ("[a\nx=1\n", 1),
  ("[a]\nx=1\n[b]\n  y = 2\n", 4), ("[a]\nx = %(y)d\ny=1\n", 2), ("[a]\nx = %(y\ny=1\n", 2), ("[a]\ny=1\nx=\0\n", 3),
])
nonisolated func iniErrorsNameFileAndLine(_ row: (file: String, line: Int)) {
  let error = #expect(throws: SettingsError.self) {
    _ = try INIFile(bytes: Array(row.file.utf8), path: "/etc/f").value("a", "x")
  }
  #expect(error?.description.hasPrefix("/etc/f:\(row.line): ") == true, "\(error?.description ?? "")")
}

/// `~` stands for a byte that is no UTF-8. Bcfg2 reads all of these.
@Test(arguments: [
  ("# caf~\n[a]\nx = 1\n", 1, "a comment"), ("[a]\nx = 1 ; caf~\n", 2, "a comment"),
  ("[a]\nx = 1\n; ~\n", 3, "a comment"),
  ("[a]\nx = 1\ny = ~\n", 3, "a value"), ("[a]\nx = 1\ny = b\n  ~c\n", 4, "a value"),
  ("[a]\nx = 1\n~ = 2\n", 3, "the name of an option"), ("[a]\nx = 1\n[~]\ny = 2\n", 3, "the name of a section"),
  ("[a]\nx = 1\n[b]\nx = ~\n", 4, "a value"),
])
nonisolated func bytesThatAreNoUTF8AreToldWhereNobodyUsesThem(_ row: (file: String, line: Int, place: String)) throws {
  let bytes = row.file.utf8.map { $0 == UInt8(ascii: "~") ? 0xE9 : $0 }
  let file = try INIFile(bytes: bytes, path: "f")
  #expect(try file.value("a", "x") == "1")
  #expect(file.warnings.map(\.description) == ["f:\(row.line): \(row.place) is not UTF-8 text and cannot be used"])
}

@Test(arguments: [
  ("[a]\nx = ~\n", 2), ("[a]\nx = 1\n  ~\n", 3), ("[a]\nx = %(y)s\ny = ~\n", 2), ("[DEFAULT]\nx = ~\n[a]\n", 2),
])
nonisolated func bytesThatAreNoUTF8InAUsedValueAreAnError(_ row: (file: String, line: Int)) throws {
  let file = try INIFile(bytes: row.file.utf8.map { $0 == UInt8(ascii: "~") ? 0xE9 : $0 }, path: "f")
  let error = #expect(throws: SettingsError.self) { try file.value("a", "x") }
  #expect(error?.description.hasPrefix("f:\(row.line): [a] x: ") == true, "\(error?.description ?? "")")
  #expect(error?.description.contains("is not UTF-8 text") == true)
}

@Test nonisolated func settingsWarnOfUnusedBytesAndRefuseUsedOnes() throws {
  let comment: [UInt8] = Array("[server]\n# caf".utf8) + [0xE9] + Array("\n[client]\nprofile = ".utf8) + [0xFF, 0x0A]
  let settings = try Settings(try INIFile(bytes: comment, path: "f"), registry: .server)
  #expect(settings.warnings.map(\.origin) == [.file(path: "f", line: 2), .file(path: "f", line: 4)])
  let used: [UInt8] = Array("[communication]\npassword = ".utf8) + [0xE9, 0x0A]
  let error = #expect(throws: SettingsError.self) {
    try Settings(try INIFile(bytes: used, path: "f"), registry: .server)
  }
  #expect(error?.description == "f:2: [communication] password: the value is not UTF-8 text")
}

@Test nonisolated func aConfigurationFileThatIsAFIFOIsRefusedWithoutWaiting() throws {
  let folder = TemporaryDirectory()
  try #require(mkfifo(folder.file("conf"), 0o600) == 0)
  let error = #expect(throws: SettingsError.self) { try INIFile(path: folder.file("conf")) }
  #expect(error?.description == "Could not read \(folder.file("conf")): a FIFO, not a regular file")
}

@Test nonisolated func iniRefusesTooMuch() {
  #expect(throws: SettingsError.unreadable(path: "f", reason: "more than 1048576 bytes")) {
    try INIFile(bytes: [UInt8](repeating: 0x0A, count: INIFile.limitBytes + 1), path: "f")
  }
  let doubling = (1...9).map { "v\($0) = %(v\($0 - 1))s%(v\($0 - 1))s" }.joined(separator: "\n")
  let bomb = "[a]\nv0 = \(String(repeating: "0", count: 1000))\n\(doubling)\nx = %(v9)s\n"
  #expect(throws: SettingsError.self) { try INIFile(bytes: Array(bomb.utf8), path: "f").value("a", "x") }
}

@Test nonisolated func iniKeepsLineAndSpelling() throws {
  var file = try INIFile(bytes: Array("[a]\n\nMyKey = 1\n more\nother = 2\n".utf8), path: "one")
  try file.read(bytes: Array("# later\n[a]\nother = 3\n".utf8), path: "two")
  let entry = try #require(file.entry("a", "MYKEY"))
  #expect(entry.spelling == "MyKey" && entry.origin == .file(path: "one", line: 3) && entry.raw == "1\nmore")
  #expect(file.entry("a", "other")?.origin == .file(path: "two", line: 3))
  #expect(file.section("a")?.order == ["mykey", "other"])
}
