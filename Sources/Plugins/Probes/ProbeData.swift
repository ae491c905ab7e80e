public import Core
import Identity
public import Repository
public import Templates
public import XMLRPC

/// The output of one probe of a client.
public final class ProbeData {
  /// The output without its `group:` lines.
  public let text: String
  /// The output as an XML document; nil if it is none, or has a document type, which clients must not send.
  public private(set) lazy var xml: Element? = try? ClientDocument.parse(text)

  init(text: String) { self.text = text }
}

/// The probe data of one client, by probe: what Probes adds to its metadata.
///
/// Kept in the form of probed.xml, and parsed when it is needed.
public final class ProbeDataSet: ConnectorData {
  /// Seconds since the epoch of the report.
  public let timestamp: String
  private let body: [UInt8]

  /// Data by the probe's name.
  public private(set) lazy var probes: NameTable<ProbeData> = {
    var probes: NameTable<ProbeData> = [:]
    let document = Array("<Client>".utf8) + body + Array("</Client>".utf8)
    do {
      for probe in try ProbedFile.parse(document).children(tagged: "Probe") {
        if let name = probe.name { probes[name] = ProbeData(text: probe["value"] ?? "") }
      }
    } catch {
      preconditionFailure("the store wrote what it does not read: \(error)")
    }
    return probes
  }()

  init(timestamp: String, body: [UInt8]) {
    self.timestamp = timestamp
    self.body = body
  }

  /// Data of one probe.
  public subscript(_ probe: String) -> ProbeData? { probes[probe] }
}

/// What a client reported, as it is kept.
struct ProbeReport {
  /// Seconds since the epoch.
  let timestamp: String
  /// The `Probe` and `Group` elements of probed.xml.
  let body: [UInt8]
  /// In the order in which the probes named them.
  let groups: [String]

  /// - Parameter probes: outputs by name.
  init(timestamp: String, probes: [(name: String, text: String)], groups: [String]) {
    var body: [UInt8] = []
    for (name, text) in probes.sorted(by: { Name.isOrdered($0.name, before: $1.name) }) {
      body += "    <Probe name=\"".utf8
      XMLEscape.append(name, to: &body, as: .attribute)
      body += "\" value=\"".utf8
      XMLEscape.append(text, to: &body, as: .attribute)
      body += "\"/>\n".utf8
    }
    for group in groups {
      body += "    <Group name=\"".utf8
      XMLEscape.append(group, to: &body, as: .attribute)
      body += "\"/>\n".utf8
    }
    self.timestamp = timestamp
    self.body = body
    self.groups = groups
  }

  /// Reads a `Client` element of probed.xml.
  init(_ element: Element) {
    self.init(
      timestamp: element["timestamp"] ?? "0",
      probes: element.children(tagged: "Probe").compactMap { probe in
        probe.name.map { (name: $0, text: probe["value"] ?? "") }
      },
      groups: element.children(tagged: "Group").compactMap(\.name))
  }

  /// Whether another report has the same data and groups.
  func saysSame(as other: ProbeReport) -> Bool { body == other.body && groups == other.groups }

  /// Whether this report replaces another one: it is as new or newer, and differs.
  func supersedes(_ known: ProbeReport?) -> Bool {
    guard let known else { return true }
    return seconds > known.seconds || seconds == known.seconds && !saysSame(as: known)
  }

  func equals(_ other: ProbeReport?) -> Bool {
    other.map { $0.timestamp == timestamp && saysSame(as: $0) } ?? false
  }

  private var seconds: Double { Double(timestamp) ?? 0 }

  /// About how many bytes it takes in a file, without the client's name.
  var sizeBytes: Int { body.count + 64 }

  /// Appends the `Client` element of probed.xml.
  func append(to output: inout [UInt8], client: ClientName) {
    output += "  <Client name=\"".utf8
    XMLEscape.append(client.text, to: &output, as: .attribute)
    output += "\" timestamp=\"".utf8
    XMLEscape.append(timestamp, to: &output, as: .attribute)
    guard !body.isEmpty else {
      output += "\"/>\n".utf8
      return
    }
    output += "\">\n".utf8
    output += body
    output += "  </Client>\n".utf8
  }
}

extension ProbeDataSet: TemplateReadable {
  public var templateForm: TemplateValue {
    [
      "form": "probes", "timestamp": .text(timestamp),
      "texts": .record(templateKeys.map { .init($0, .text(probes[$0]?.text ?? "")) }),
    ]
  }
  public func templateItem(_ name: String) -> TemplateValue? {
    Name.areSame(name, "\0timestamp") ? .text(timestamp) : probes[name].map { .text($0.text) }
  }
  public var templateKeys: [String] { probes.sorted().map(\.key) }
}
