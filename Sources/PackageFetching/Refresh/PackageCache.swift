package import EventLoop
import Glibc
package import PackageSources

/// The folders of `[packages] cache`. The Python server has files of its own beside them, which nobody here touches; both
/// keep keys in `keys`, by the same names.
package struct PackageCache: Sendable {
  package let folder: String
  package var indexes: String { folder + "/indexes" }
  package var downloads: String { folder + "/downloads" }
  package var keys: String { folder + "/keys" }

  package init(folder: String) { self.folder = folder }

  package func indexPath(_ source: PackageSource) -> String { "\(indexes)/\(source.indexFileName)" }

  /// Where the outcome of a source's last refresh is.
  func statusPath(_ source: PackageSource) -> String { indexPath(source) + ".status" }

  /// The index of a source; nil where there is none that can be read.
  package func index(_ source: PackageSource) -> PackageIndex? {
    try? PackageIndex(path: indexPath(source), key: source.key)
  }

  package func status(_ source: PackageSource) -> SourceStatus? { SourceStatus(path: statusPath(source)) }

  /// Makes the folders where they are missing.
  package func prepare() throws(SystemError) {
    try makeFolders(indexes)
    try makeFolders(keys)
  }

  /// Removes indexes of sources that are no longer there, and the downloads that no source needs.
  func removeOthers(than sources: [PackageSource], _ files: Downloads) {
    let names = Set(sources.map(\.indexFileName))
    for name in Files.names(in: indexes) {
      let index = name.hasSuffix(".status") ? String(name.dropLast(7)) : name
      guard index.hasSuffix(".index"), !names.contains(index) else { continue }
      unlink("\(indexes)/\(name)")
    }
    files.removeOthers(than: sources.reduce(into: Set<String>()) { $0.formUnion(status($1)?.files ?? []) })
  }
}

/// How the last refresh of a source ended, in a small file beside its index.
package struct SourceStatus: Equatable, Sendable {
  /// When that was, in seconds since 1970.
  package var time = 0
  package var isGood = false
  /// What failed; empty if nothing did.
  package var problems: [String] = []
  /// The downloads that the source needs.
  var files: Set<String> = []
  /// What had a right signature, by its address, with the date that it gave in seconds since 1970; 0 without one.
  var signed: [String: Int] = [:]

  init() {}

  init?(path: String) {
    guard let bytes = try? RegularFile.read(path, limitBytes: 1 << 20) else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1)
      guard words.count == 2 else { continue }
      switch words[0] {
      case "time": time = Int(words[1]) ?? 0
      case "good": isGood = words[1] == "yes"
      case "problem": problems.append(String(words[1]))
      case "file": files.insert(String(words[1]))
      case "signed":
        let words = words[1].split(separator: " ", maxSplits: 1)
        if words.count == 2, let date = Int(words[0]) { signed[String(words[1])] = date }
      default: continue
      }
    }
  }

  var bytes: [UInt8] {
    var text = "time \(time)\ngood \(isGood ? "yes" : "no")\n"
    for problem in problems { text += "problem \(problem.replacing("\n", with: " "))\n" }
    for file in files.sorted() { text += "file \(file)\n" }
    for (url, date) in signed.sorted(by: { $0.key < $1.key }) { text += "signed \(date) \(url)\n" }
    return Array(text.utf8)
  }
}
