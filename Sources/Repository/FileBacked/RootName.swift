import Formats

/// The name of a file's root element, which Bcfg2 takes as it comes: a typing mistake there may empty a file.
package enum RootName {
  /// Root elements of all kinds of files. Source: Bcfg2/bcfg2: schemas/*.xsd.
  static let all: Set<String> = [
    "ACL", "AuthorizedKeys", "AWSTags", "Base", "Bundle", "CertInfo", "Clients", "Decisions", "Defaults",
    "Dependencies", "FileInfo", "FileProbes", "GroupLogic", "GroupPatterns", "Groups", "KeyInfo", "NagiosGen",
    "PackageList", "PrivateKey", "Properties", "PublicKey", "Rules", "Sources",
  ]

  /// Checks the name of a root element that was read.
  ///
  /// A wrong name is a mistake where it is near to a right one, where it is that of another kind of file, and where the
  /// element is empty. Other names may be meant: Bcfg2 serves such files.
  ///
  /// - Parameters:
  ///   - allowed: names that are right; empty: all are.
  ///   - last: that of the version in use; nil: there is none.
  ///   - report: gets what is wrong with a name that is taken all the same, as Bcfg2 does: where it may be meant, of a
  ///     file's first version, and where the version in use has the same name.
  /// - Throws: `XMLFileError` where the version in use has another name, and this one is a mistake. It stays.
  package static func check(
    _ root: Element, allowed: Set<String>, last: String?, path: String, report: (String) -> Void
  ) throws(XMLFileError) {
    guard !allowed.isEmpty, !allowed.contains(root.tag) else { return }
    let names = allowed.sorted().map { "<\($0)>" }.joined(separator: " or ")
    let error = XMLFileError(
      path: path, line: Int(root.line), message: "The root element is <\(root.tag)>, it should be \(names)")
    let isMistake =
      root.children.isEmpty || all.contains(root.tag) || NearestName.of(root.tag, among: allowed.sorted()) != nil
    if isMistake, let last, last != root.tag { throw error }
    report("\(error); the file is used all the same, as in Bcfg2")
  }
}
