/// The name of a file's root element, which Bcfg2 takes as it comes: a typing mistake there may empty a file.
enum RootName {
  /// Checks the name of a root element that was read.
  ///
  /// - Parameters:
  ///   - allowed: names that are right; empty: all are.
  ///   - last: that of the version in use; nil: there is none.
  ///   - report: gets what is wrong with a name that is taken all the same, as Bcfg2 does: of a file's first version, and
  ///     where the version in use has the same name.
  /// - Throws: `XMLFileError` where the version in use has another name. It stays.
  static func check(
    _ root: Element, allowed: Set<String>, last: String?, path: String, report: (String) -> Void
  ) throws(XMLFileError) {
    guard !allowed.isEmpty, !allowed.contains(root.tag) else { return }
    let names = allowed.sorted().map { "<\($0)>" }.joined(separator: " or ")
    let error = XMLFileError(
      path: path, line: Int(root.line), message: "The root element is <\(root.tag)>, it should be \(names)")
    guard last == nil || last == root.tag else { throw error }
    report("\(error); the file is used all the same, as in Bcfg2")
  }
}
