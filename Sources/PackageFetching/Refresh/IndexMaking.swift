import Glibc
import PackageFormats
import PackageSources

/// Why an index is not made.
enum IndexMakingError: Error {
  /// The files of one part cannot be read.
  case part(Int, FormatError)
  case whole(FetchError)
}

/// Makes the index of a source from files that are here.
enum IndexMaking {
  static func index(
    of source: PackageSource, _ choice: PartChoice, _ inputs: IndexInputs
  ) throws(IndexMakingError) -> (bytes: [UInt8], packages: Int) {
    var builder = try whole { () throws(IndexBuildError) in try IndexBuilder(key: source.key) }
    var reader = IndexReader()
    for (number, part) in choice.parts.enumerated() {
      try whole { () throws(IndexBuildError) in try begin(part.part, part.chosen, in: &builder) }
      guard case .files(let input) = part.chosen, let files = files(input, source.kind) else { continue }
      do throws(FormatError) { try reader.read(files, into: &builder) } catch { throw .part(number, error) }
    }
    do throws(FormatError) { try reader.finish(into: &builder) } catch {
      throw .part(self.part(of: error.file, choice), error)
    }
    let bytes = try whole { () throws(IndexBuildError) in
      try builder.addFact(IndexInputs.fact, inputs.fact)
      return try builder.finish(time: Int64(time(nil)))
    }
    return (bytes, builder.recordCount)
  }

  private static func begin(
    _ part: SourcePart, _ chosen: PartChoice.Chosen, in builder: inout IndexBuilder
  ) throws(IndexBuildError) {
    let component = try builder.text(part.component)
    let arch = try builder.text(part.arch)
    switch chosen {
    case .missing: builder.beginPart(component: component, arch: arch, flags: .isMissing)
    case .files(let input):
      builder.beginPart(component: component, arch: arch, flags: input.isKept ? .isKept : [], made: input.made)
    }
  }

  private static func whole<Value>(_ body: () throws(IndexBuildError) -> Value) throws(IndexMakingError) -> Value {
    do throws(IndexBuildError) { return try body() } catch {
      throw .whole(FetchError(.other, "no index can be made: \(error)"))
    }
  }

  private static func files(_ input: PartInput, _ kind: SourceKind) -> IndexInput? {
    func file(_ role: PartInput.Role) -> MetadataFile? {
      input.files[role].map { MetadataFile(path: $0.path, name: $0.url) }
    }
    guard let packages = file(.packages) else { return nil }
    switch kind {
    case .apt:
      // As for Bcfg2 and apt: what is named Packages.gz is one.
      var file = packages
      file.acceptsPlain = !["gz", "xz", "zst", "bz2"].contains { packages.name.hasSuffix(".\($0)") }
      return .debianPackages(file)
    case .yum:
      return .yum(
        YumFiles(primary: packages, filelists: file(.fileLists), comps: file(.groups), modules: file(.modules)))
    case .pac: return .pacman(packages)
    case .pkgng: return .pkgng(packages)
    }
  }

  /// The part that a file belongs to: lists of files are read after all parts.
  private static func part(of file: String, _ choice: PartChoice) -> Int {
    choice.parts.firstIndex { part in
      guard case .files(let input) = part.chosen else { return false }
      return input.files.values.contains { $0.url == file }
    } ?? 0
  }
}
