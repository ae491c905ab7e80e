import Formats

/// Checks the name of a file's root element. Bcfg2 accepts any name, so that a typing mistake there may empty a file.
package enum RootName {
  /// Root elements of all kinds of files. Source: Bcfg2/bcfg2: schemas/*.xsd.
  static let all: Set<String> = [
    "ACL", "AuthorizedKeys", "AWSTags", "Base", "Bundle", "CertInfo", "Clients", "Decisions", "Defaults",
    "Dependencies", "FileInfo", "FileProbes", "GroupLogic", "GroupPatterns", "Groups", "KeyInfo", "NagiosGen",
    "PackageList", "PrivateKey", "Properties", "PublicKey", "Rules", "Sources",
  ]

  /// Checks the name of a root element.
  ///
  /// A wrong name is a mistake if it is similar to an allowed one, belongs to another kind of file, or the element is
  /// empty. Other names may be intended: Bcfg2 serves such files.
  ///
  /// - Parameters:
  ///   - allowed: the correct names; empty allows all.
  ///   - last: the name in the version in use; nil if there is none.
  ///   - report: called with the problem of a wrong name that is accepted all the same, as Bcfg2 does: one that may be
  ///     intended, one in a file's first version, and one that the version in use has too.
  /// - Throws: `XMLFileError` if the name is a mistake and the version in use has another name. That version stays.
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
