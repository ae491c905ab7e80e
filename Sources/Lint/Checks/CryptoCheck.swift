import EventLoop
import Repository

extension LintPlugin {
  /// What is said to be encrypted is.
  static let crypto = LintPlugin(
    "Crypto",
    errors: ["unencrypted-cfg": .error, "empty-encrypted-properties": .error, "unencrypted-properties": .error]
  ) { context in
    for path in context.allFiles(below: "Cfg") where path.hasSuffix(".crypt") {
      guard let bytes = context.bytes(of: path), !Encryption.isEncrypted(bytes) else { continue }
      context.report.add(
        "unencrypted-cfg", "\(path) is a .crypt file, but it is not encrypted", at: .init(path))
    }
    for path in context.allFiles(below: "Properties") where path.hasSuffix(".xml") {
      // A file that cannot be parsed is Validate's.
      guard let document = try? RepositoryXML.parse(path: path) else { continue }
      checkProperties(document.root, path, context)
    }
  }

  private static func checkProperties(_ root: Element, _ path: String, _ context: LintContext) {
    var marked = root["encrypted"] == nil ? [] : [root]
    root.forEachDescendant { if $0["encrypted"] != nil { marked.append($0) } }
    for element in marked {
      let place = Finding.Place(path, line: Int(element.line))
      let text = element.text ?? ""
      if text.isEmpty {
        context.report.add(
          "empty-encrypted-properties",
          "Element in \(path) has an 'encrypted' attribute, but no text content: \(element.rendered())", at: place)
      } else if !Encryption.isEncrypted(Array(text.utf8)) {
        context.report.add(
          "unencrypted-properties",
          "Element in \(path) has an 'encrypted' attribute, but is not encrypted: \(element.rendered())", at: place)
      }
    }
  }
}

extension LintContext {
  /// The bytes of a file; nil where it cannot be read.
  func bytes(of path: String) -> [UInt8]? {
    try? RegularFile.read(path, limitBytes: RepositoryXML.fileLimitBytes)
  }
}
