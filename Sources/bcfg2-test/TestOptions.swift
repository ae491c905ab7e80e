import ClientChecks
import Formats
import ServerSettings

/// What the command line says, and `[bcfg2_test]` of bcfg2.conf where it says nothing.
struct TestOptions {
  let children: Int
  let ignored: IgnoredEntries
  let isVerbose: Bool
  /// Where JUnit's XML goes.
  let xunit: String?
  /// nose's options that nothing is done for.
  let unknown: [String]

  /// Why `[bcfg2_test]` cannot be used.
  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  init(_ arguments: Arguments, _ settings: Settings) throws {
    let bytes = settings.files.texts[settings.configurationFile] ?? []
    let file = try INIFile(bytes: bytes, path: settings.configurationFile)
    if let given = arguments.children {
      children = given
    } else {
      let text = try file.value("bcfg2_test", "children") ?? "0"
      guard let number = Int(text), (0...Arguments.childLimit).contains(number) else {
        throw Problem(
          description: "[bcfg2_test] children: wrong value '\(text)'; allowed: 0 to \(Arguments.childLimit)")
      }
      children = number
    }
    let ignore = try arguments.ignore ?? file.value("bcfg2_test", "ignore_entries") ?? ""
    ignored = try IgnoredEntries(
      ignore.split(separator: ",").map { String($0.trimmed) }.filter { !$0.isEmpty })
    let words = try (arguments.noseOptions ?? file.value("bcfg2_test", "nose_options") ?? "")
      .split { $0 == " " || $0 == "\t" || $0 == "\n" }.map(String.init)
    let nose = NoseOptions(words)
    isVerbose = arguments.verbose || nose.isVerbose
    xunit = arguments.xunit ?? nose.xunit
    unknown = nose.unknown
  }
}

/// nose's options that have a meaning here.
struct NoseOptions {
  private(set) var isVerbose = false
  private(set) var xunit: String?
  private(set) var unknown: [String] = []

  init(_ words: [String]) {
    var words = words[...]
    var file: String?
    while let word = words.popFirst() {
      switch word {
      case "-v", "--verbose", "--verbosity=2", "--verbosity=3": isVerbose = true
      case "--with-xunit": xunit = "nosetests.xml"
      case "--xunit-file": file = words.popFirst()
      default:
        if word.hasPrefix("--xunit-file=") { file = String(word.dropFirst(13)) } else { unknown.append(word) }
      }
    }
    if xunit != nil, let file { xunit = file }
  }
}

extension Substring {
  /// Without blanks at its ends.
  var trimmed: Substring {
    let start = drop { $0 == " " || $0 == "\t" || $0 == "\n" }
    guard let end = start.lastIndex(where: { $0 != " " && $0 != "\t" && $0 != "\n" }) else { return "" }
    return start[...end]
  }
}
