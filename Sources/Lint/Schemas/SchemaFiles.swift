import CLibXML2
import Glibc

/// The files that libxml2 may read for a schema: those in its folder and below. A schema of a repository comes from whoever
/// may commit, so it names neither other files nor addresses.
nonisolated struct SchemaFiles {
  /// Without links, with a slash at its end.
  private let folder: String
  /// The schema itself, in `folder`. It may be a link.
  let path: String

  /// nil if there is no such file.
  init?(schema path: String) {
    let slash = path.lastIndex(of: "/")
    let parent = slash.map { String(path[...$0]) } ?? "."
    let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
    guard let real = Self.real(parent) else { return nil }
    folder = real.hasSuffix("/") ? real : real + "/"
    self.path = folder + name
    guard Self.isFile(self.path) else { return nil }
  }

  /// Calls a function in which libxml2 reads no other files, and prints nothing.
  func alone<Result>(_ body: () -> Result) -> Result { Self.reading(self, body) }

  /// Calls a function in which libxml2 reads files of a schema alone; nil: none.
  static func reading<Result>(_ files: SchemaFiles?, _ body: () -> Result) -> Result {
    let (previous, outer) = (xmlGetExternalEntityLoader(), readableFiles)
    readableFiles = files
    xmlSetExternalEntityLoader(loadSchemaFile)
    xmlSetStructuredErrorFunc(nil) { _, _ in }
    defer {
      xmlSetStructuredErrorFunc(nil, nil)
      xmlSetExternalEntityLoader(previous)
      readableFiles = outer
    }
    return body()
  }

  /// The path of a file that may be read; nil for all others.
  fileprivate func file(_ location: String) -> String? {
    var path = location[...]
    for scheme in ["file://localhost/", "file:///"] where path.hasPrefix(scheme) {
      path = path.dropFirst(scheme.count - 1)
    }
    guard path.hasPrefix("/") else { return nil }
    // libxml2 tries both, in this order.
    let candidates = [String(path), Self.unescaped(String(path))]
    guard let found = candidates.first(where: { access($0, F_OK) == 0 }), Self.isFile(found) else { return nil }
    if found == self.path { return found }
    return Self.real(found)?.hasPrefix(folder) == true ? found : nil
  }

  /// Text with `%XX` as bytes.
  private static func unescaped(_ text: String) -> String {
    var (bytes, rest): ([UInt8], Substring.UTF8View) = ([], text[...].utf8)
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2,
        let escaped = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(escaped)
        rest.removeFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func isFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  private static func real(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(cString: found)
  }
}

/// Set while a schema is read or used, in the one thread that does so.
private nonisolated(unsafe) var readableFiles: SchemaFiles?

private nonisolated func loadSchemaFile(
  _ location: UnsafePointer<CChar>?, _: UnsafePointer<CChar>?, _ context: xmlParserCtxtPtr?
) -> xmlParserInputPtr? {
  guard let location, let path = readableFiles?.file(String(cString: location)) else { return nil }
  return xmlNewInputFromFile(context, path)
}
