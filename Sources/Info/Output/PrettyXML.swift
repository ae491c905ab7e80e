import Repository

/// Elements as text.
enum PrettyXML {
  /// With a line for each element.
  @MainActor static func text(_ element: Element) -> String {
    String(decoding: WireWriter.xml(element, isPretty: true), as: UTF8.self)
  }

  /// As it is, on one line where its texts have no more.
  @MainActor static func line(_ element: Element) -> String {
    String(decoding: WireWriter.xml(element), as: UTF8.self)
  }

  /// With a line for each element, as the contents of a file.
  @MainActor static func document(_ element: Element) -> [UInt8] {
    Array("<?xml version='1.0' encoding='UTF-8'?>\n".utf8) + WireWriter.xml(element, isPretty: true)
  }
}
