import Core
import Plugins
import Repository

extension LintPlugin {
  /// Variants of a file or of a probe that are the same, or nearly.
  static let mergeFiles = LintPlugin(
    "MergeFiles",
    errors: [
      "merge-cfg": .warning, "identical-cfg": .error, "merge-probes": .warning, "identical-probes": .error,
    ]
  ) { context, core in
    let threshold = try context.configuration.mergeThreshold()
    for folder in core.loaded(CfgPlugin.self)?.folders ?? [] {
      checkFolder(folder, threshold, context)
    }
    if let probes = core.loaded(ProbesPlugin.self) { checkProbes(probes, threshold, context) }
  }

  private static func checkFolder(_ folder: CfgFolder, _ threshold: Double?, _ context: LintContext) {
    let files = folder.files.compactMap { file -> Variant? in
      guard file.isGenerator, file.kind != .specification, !file.name.hasSuffix(".crypt"), context.handles(file.path),
        let data = file.data, String(validating: data, as: UTF8.self) != nil
      else { return nil }
      return Variant(name: "\(folder.name)/\(file.name)", path: file.path, data: data)
    }
    tell(files, threshold, "files", "cfg", "Genshi template", context)
  }

  private static func checkProbes(_ probes: ProbesPlugin, _ threshold: Double?, _ context: LintContext) {
    let files = probes.programNames.compactMap { name -> Variant? in
      let path = "\(context.repository)/Probes/\(name)"
      guard context.handles(path), let data = context.bytes(of: path) else { return nil }
      return Variant(name: name, path: path, data: data)
    }
    tell(files, threshold, "probes", "probes", "probe", context)
  }

  /// - Parameters:
  ///   - error: the end of the errors' names.
  ///   - remedy: what they may become.
  private static func tell(
    _ files: [Variant], _ threshold: Double?, _ noun: String, _ error: String, _ remedy: String, _ context: LintContext
  ) {
    let found = Variant.groups(files, threshold)
    for group in found.similar {
      context.report.add(
        "merge-\(error)",
        "The following \(noun) are similar: \(Variant.names(group)). Consider merging them into a single \(remedy).",
        at: .init(group[0].path))
    }
    for group in found.identical {
      context.report.add(
        "identical-\(error)",
        "The following \(noun) are identical: \(Variant.names(group)). Strongly consider merging them into a single "
          + "\(remedy).", at: .init(group[0].path))
    }
  }
}

/// A file that may be one with others.
nonisolated struct Variant {
  let name: String
  let path: String
  let data: [UInt8]

  /// Larger files are compared line by line: comparing bytes takes the square of their number.
  private static let bytewiseLimit = 16 << 10

  static func names(_ variants: [Variant]) -> String { variants.map(\.name).joined(separator: ", ") }

  /// Groups of variants that are the same, and of those that are more alike than `threshold`; each variant is in one.
  static func groups(_ variants: [Variant], _ threshold: Double?) -> (similar: [[Variant]], identical: [[Variant]]) {
    var (similar, identical): ([[Variant]], [[Variant]]) = ([], [])
    var rest = variants[...]
    while let first = rest.popFirst() {
      let same = rest.filter { $0.data == first.data }
      let alike = rest.filter { other in
        guard let threshold, other.data != first.data else { return false }
        return isAlike(first.data, other.data, threshold)
      }
      if !same.isEmpty { identical.append([first] + same) }
      if !alike.isEmpty { similar.append([first] + alike) }
      let taken = Set((same + alike).map(\.path))
      rest = rest.filter { !taken.contains($0.path) }[...]
    }
    return (similar, identical)
  }

  private static func isAlike(_ one: [UInt8], _ other: [UInt8], _ threshold: Double) -> Bool {
    max(one.count, other.count) <= bytewiseLimit
      ? exceeds(SequenceSimilarity(one, other), threshold)
      : exceeds(SequenceSimilarity(lines(one), lines(other)), threshold)
  }

  private static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
  }

  /// Cheap bounds first.
  private static func exceeds(_ similarity: SequenceSimilarity<some Hashable>, _ threshold: Double) -> Bool {
    similarity.lengthBound > threshold && similarity.itemBound > threshold && similarity.ratio > threshold
  }
}
