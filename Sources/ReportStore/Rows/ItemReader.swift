import Databases
import ReportRecords

/// Makes rows of what a client reported.
///
/// The attributes are those that Bcfg2's client sends. Bcfg2's importer reads some by the names of their columns instead, which no
/// client sends, and loses them: the status that a service should have, an action's exit code, whether an entry exists.
struct ItemReader {
  var limits: TextLimits
  /// Contents with more bytes than this are not stored.
  var fileLimit: Int

  enum Outcome {
    case row(EntryRow)
    /// Nothing is stored of it; the text says why.
    case skipped(String)
  }

  func read(_ item: ReportedItem) -> Outcome {
    if let failure = item["failure"], !failure.isEmpty {
      return .row(row(.failure, item, ["entry_type": .text(item.tag), "message": .text(failure)]))
    }
    guard let kind = EntryKind(rawValue: item.tag), kind != .failure else {
      return .skipped("Unknown type \(item.tag) not handled by reporting yet")
    }
    if kind == .path { return path(item) }
    return .row(row(kind, item, values(kind, item)))
  }

  /// The row with these values; columns without one are filled from the attribute of their name.
  func row(
    _ kind: EntryKind, _ item: ReportedItem, _ values: [String: SQLValue], target: Permissions? = nil,
    current: Permissions? = nil, link: EntryRow.Link? = nil
  ) -> EntryRow {
    let columns = EntryColumns.of(kind).map { column -> SQLValue in
      let value =
        switch column.name {
        case "state": SQLValue(Int(item.state.rawValue))
        case "exists": SQLValue.bool(isTrue(item["current_exists"] ?? "true"))
        default: values[column.name] ?? SQLValue(item[column.name])
        }
      return fit(value, column)
    }
    return EntryRow(kind, columns, target: target, current: current, link: link)
  }

  private func fit(_ value: SQLValue, _ column: SQLColumn) -> SQLValue {
    switch column.kind {
    case .integer:
      if let number = value.asInt.flatMap(limits.fit) { return SQLValue(number) }
      return column.isNull ? .null : SQLValue(-1)
    case .bool: return .bool(value.asBool)
    default:
      guard let text = value.asText else { return column.isNull ? .null : "" }
      return .text(limits.fit(text, column.kind))
    }
  }

  private func values(_ kind: EntryKind, _ item: ReportedItem) -> [String: SQLValue] {
    let name = item["name"] ?? ""
    switch kind {
    case .action:
      return [
        "status": .text(item["status"] ?? "check"), "output": .text(item["rc"] ?? item["output"] ?? "-1"),
      ]
    case .service: return ["target_status": .text(item["target_status"] ?? item["status"] ?? "")]
    case .package: return package(item)
    case .seBoolean: return ["value": .bool((item["value"] ?? "on").lowercased() == "on")]
    case .seFcontext: return ["filetype": .text(item["filetype"] ?? "all")]
    case .seModule:
      return [
        "disabled": .bool(isTrue(item["disabled"] ?? "false")),
        "current_disabled": .bool(isTrue(item["current_disabled"] ?? "false")),
      ]
    case .posixUser:
      return [
        "uid": SQLValue(item["uid"] ?? item["current_uid"]), "group": .text(item["group"] ?? name),
        "gecos": .text(item["gecos"] ?? name), "shell": .text(item["shell"] ?? "/bin/bash"),
        "home": .text(item["home"] ?? (name == "root" ? "/root" : "/home/\(name)")),
      ]
    case .posixGroup: return ["gid": SQLValue(item["gid"] ?? item["current_gid"])]
    default: return [:]
    }
  }

  private func package(_ item: ReportedItem) -> [String: SQLValue] {
    let target = item["version"] ?? ""
    if !target.isEmpty { return ["target_version": .text(target)] }
    // An extra package has the versions that are installed.
    let installed = item.children.filter { $0.tag == "Instance" }.compactMap { instance -> String? in
      let attributes = Dictionary(instance.attributes.map { ($0.name, $0.value) }) { first, _ in first }
      guard var version = attributes["version"] else { return nil }
      if let release = attributes["release"], !release.isEmpty { version += "-\(release)" }
      if let architecture = attributes["arch"], !architecture.isEmpty { version += ".\(architecture)" }
      return version
    }
    return [
      "target_version": "", "verification_details": "",
      "current_version": .text(installed.isEmpty ? item["current_version"] ?? "" : installed.joined(separator: ", ")),
    ]
  }

  func isTrue(_ text: String) -> Bool { text.lowercased() == "true" }
}
