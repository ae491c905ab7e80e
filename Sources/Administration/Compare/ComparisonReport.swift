import EventLoop
import Glibc
public import Repository

/// Differences of two files, or of the files of two folders, by what differs: hosts with equal differences are told together.
public struct ComparisonReport {
  /// A difference, and the hosts that have it. The name of the host is nil where two files of different names are compared.
  public nonisolated struct Difference: Sendable, Encodable {
    public let finding: ConfigurationComparison.Finding
    public internal(set) var hosts: [String]
  }

  public private(set) var differences: [Difference] = []
  private var places: [ConfigurationComparison.Finding: Int] = [:]

  public init() {}

  public mutating func add(_ findings: [ConfigurationComparison.Finding], of host: String?) {
    for finding in findings {
      let place = places[finding] ?? differences.count
      if place == differences.count {
        places[finding] = place
        differences.append(Difference(finding: finding, hosts: []))
      }
      if let host { differences[place].hosts.append(host) }
    }
  }

  /// The report as 1.4 prints it.
  ///
  /// - Parameter namesHosts: whether more than one pair of files was compared.
  public func lines(namesHosts: Bool, isColored: Bool) -> [String] {
    differences.flatMap { difference -> [String] in
      let isHeaded = namesHosts && !difference.hosts.isEmpty
      let heading =
        isHeaded ? ["===== \(HostRanges.texts(difference.hosts).joined(separator: "\n      ")) ====="] : []
      return heading + Self.lines(difference.finding, isColored) + (isHeaded ? [""] : [])
    }
  }

  /// As in Bcfg2 the colour of the first line ends behind the last one.
  private static func lines(_ finding: ConfigurationComparison.Finding, _ isColored: Bool) -> [String] {
    let (word, color) =
      switch finding.kind {
      case .removed: ("Removed", "91")
      case .added: ("Added", "92")
      case .changed: ("Changed", "93")
      }
    var lines = ["\(word): \(finding.text)"]
    guard isColored else { return lines + finding.lines.map { "  " + $0 } }
    lines[0] = "\u{1b}[\(color)m" + lines[0]
    lines += finding.lines.map { line in
      switch line.utf8.first {
      case UInt8(ascii: "+"): "  \u{1b}[92m\(line)\u{1b}[0m"
      case UInt8(ascii: "-"): "  \u{1b}[91m\(line)\u{1b}[0m"
      default: "  " + line
      }
    }
    lines[lines.count - 1] += "\u{1b}[0m"
    return lines
  }
}

/// The files of a comparison.
public struct ComparedFiles {
  /// Two files of one host, and its name where they have the same.
  public let pairs: [(old: String, new: String, host: String?)]
  /// Hosts that only one folder has a file of.
  public let removed: [String]
  public let added: [String]
  public let areFolders: Bool

  public struct Problem: Error, CustomStringConvertible {
    public let description: String
  }

  public init(_ old: String, _ new: String) throws(Problem) {
    for path in [old, new] where access(path, F_OK) != 0 {
      throw Problem(description: "Failed to read \(path): \(String(cString: strerror(errno)))")
    }
    areFolders = isFolder(old) && isFolder(new)
    guard !areFolders else {
      let (before, after) = (Set(try Self.names(old)), Set(try Self.names(new)))
      pairs = before.intersection(after).sorted().map { ("\(old)/\($0)", "\(new)/\($0)", Self.host($0)) }
      removed = before.subtracting(after).sorted().map(Self.host)
      added = after.subtracting(before).sorted().map(Self.host)
      return
    }
    guard !isFolder(old), !isFolder(new) else {
      throw Problem(description: "Cannot diff a file and a directory: \(isFolder(old) ? old : new) is a directory")
    }
    let names = [old, new].map { String($0.split(separator: "/").last ?? "") }
    pairs = [(old, new, names[0] == names[1] ? Self.host(names[0]) : nil)]
    removed = []
    added = []
  }

  /// Reads a configuration.
  public static func read(_ path: String) throws(Problem) -> Element {
    do throws(XMLFileError) {
      return try RepositoryXML.parse(path: path).root
    } catch {
      throw Problem(description: "Failed to read \(error)")
    }
  }

  private static func host(_ name: String) -> String { name.hasSuffix(".xml") ? String(name.dropLast(4)) : name }

  /// Names of the files of a folder, but for hidden ones.
  private static func names(_ folder: String) throws(Problem) -> [String] {
    guard let stream = opendir(folder) else {
      throw Problem(description: "Failed to read \(folder): \(String(cString: strerror(errno)))")
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }
}
