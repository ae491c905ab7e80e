import Core
import Logging
import Repository
import XMLRPC

/// The probe programs: files of the plugin's folder, for all clients, for a group or for a host.
///
/// Source of the names: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Probes.py, ProbeSet.
struct ProbeSet {
  /// Clients newer than this version accept programs that are not ASCII.
  static let unicodeVersion = Bcfg2Version("1.3.1a0")

  /// One file.
  struct Program {
    /// The probe that it is a variant of.
    let probe: String
    let specificity: Specificity
    let text: SharedText
    /// The program that the client runs it with: from its first line, else /bin/sh.
    let interpreter: String
    let isASCII: Bool
  }

  private(set) var programs: NameTable<Program> = [:]

  /// Stores the contents of a file. Returns false if no probe can have its name.
  mutating func update(_ bytes: [UInt8], fileName: String) -> Bool {
    guard let (probe, specificity) = Self.parse(fileName) else { return false }
    programs[fileName] = Program(
      probe: probe, specificity: specificity, text: SharedText(utf8: bytes), interpreter: Self.interpreter(of: bytes),
      isASCII: bytes.allSatisfy { $0 < 0x80 })
    return true
  }

  mutating func remove(fileName: String) { programs[fileName] = nil }

  /// The probes of a client, the most specific variant of each, by name.
  func probes(for metadata: ClientMetadata, source: String, logger: Logger) -> [Element] {
    var chosen: NameTable<(file: String, program: Program)> = [:]
    for (file, program) in programs where program.specificity.matches(metadata) {
      if let present = chosen[program.probe] {
        let isMore = program.specificity < present.program.specificity
        let isLess = present.program.specificity < program.specificity
        guard isMore || !isLess && Name.isOrdered(file, before: present.file) else { continue }
      }
      chosen[program.probe] = (file, program)
    }
    let takesUnicode = metadata.versionInfo.flatMap { version in Self.unicodeVersion.map { version > $0 } } ?? false
    return chosen.sorted().compactMap { _, choice in
      let program = choice.program
      guard program.isASCII || takesUnicode else {
        // Not kept, so that the log has the message each time.
        metadata.markUncacheable()
        logger.error("Client unable to handle unicode probes. Skipping \(program.probe)")
        return nil
      }
      let attributes: Attributes = ["name": program.probe, "source": source, "interpreter": program.interpreter]
      return Element("probe", attributes, content: .shared(program.text))
    }
  }

  /// Reads a file's name: letters, digits, `_` and `-`, then nothing, `.H_<host>` or `.G<priority>_<group>`. Where the
  /// priority has not two digits, the whole name is that of the probe, as in Bcfg2.
  static func parse(_ fileName: String) -> (probe: String, specificity: Specificity)? {
    let base = fileName.utf8.prefix {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    let suffix = fileName[base.endIndex...]
    guard !base.isEmpty, let specificity = Specificity(suffix: suffix) else { return nil }
    if case .group = specificity, suffix.utf8.dropFirst(4).first != UInt8(ascii: "_") { return (fileName, specificity) }
    return (String(decoding: base, as: UTF8.self), specificity)
  }

  private static func interpreter(of bytes: [UInt8]) -> String {
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
    guard line.starts(with: "#!".utf8) else { return "/bin/sh" }
    let rest = line.dropFirst(2).drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
    return String(decoding: rest, as: UTF8.self)
  }
}
