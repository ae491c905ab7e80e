import Databases
import ReportRecords

extension ItemReader {
  func path(_ item: ReportedItem) -> Outcome {
    let type = (item["type"] ?? "").lowercased()
    if type == "device" { return .skipped("device path types are not supported yet") }
    let target = permissions(
      item["owner"] ?? "root", item["group"] ?? "root", item["mode"] ?? item["perms"] ?? "")
    let current = permissions(
      item["current_owner"] ?? "", item["current_group"] ?? "", item["current_mode"] ?? item["current_perms"] ?? "")
    let isLink = type == "symlink" || type == "hardlink"
    let (detail, details) = isLink ? (PathDetail.unused, "") : details(item, type)
    let link =
      isLink
      ? EntryRow.Link(
        target: limits.fit(item["to"] ?? "", .varchar(1024)),
        current: limits.fit(item["current_to"] ?? "", .varchar(1024)))
      : nil
    let values: [String: SQLValue] = [
      "path_type": .text(type), "detail_type": SQLValue(detail.rawValue), "details": .text(details),
    ]
    return .row(row(.path, item, values, target: target, current: current, link: link))
  }

  private func permissions(_ owner: String, _ group: String, _ mode: String) -> Permissions {
    Permissions(
      owner: limits.fit(owner, .varchar(128)), group: limits.fit(group, .varchar(128)),
      mode: limits.fit(mode, .varchar(128)))
  }

  private func details(_ item: ReportedItem, _ type: String) -> (PathDetail, String) {
    if type == "directory", item["prune"] == "true" {
      // Clients of 1.3 name them by `path`.
      let names = item.children.filter { $0.tag == "Prune" }.compactMap { child in
        (child.attributes.first { $0.name == "name" } ?? child.attributes.first { $0.name == "path" })?.value
      }
      return names.isEmpty ? (.unused, "") : (.pruned, names.joined(separator: "\n"))
    }
    if isTrue(item["sensitive"] ?? "false") { return (.sensitive, "") }
    if let binary = item["current_bfile"], !binary.isEmpty { return limited(.binary, binary, Array(binary.utf8)) }
    if let encoded = item["current_bdiff"], !encoded.isEmpty {
      let bytes = decodeBase64(encoded)
      return limited(.diff, String(decoding: bytes, as: UTF8.self), bytes)
    }
    if let diff = item["current_diff"], !diff.isEmpty { return limited(.diff, diff, Array(diff.utf8)) }
    return (.unused, "")
  }

  private func limited(_ type: PathDetail, _ text: String, _ bytes: [UInt8]) -> (PathDetail, String) {
    bytes.count > fileLimit ? (.sizeLimit, md5(bytes)) : (type, text)
  }
}
