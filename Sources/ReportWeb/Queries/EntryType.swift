/// A table of entries, as pages read it.
struct EntryType {
  /// Something that should have one value and has another.
  struct Pair {
    var key: String
    var name: String
    /// Expressions of columns: `e` is the entry's table.
    var target: String
    var current: String
  }

  /// As in URLs: `PathEntry`.
  let className: String
  /// As in configurations: `Path`.
  let tag: String
  let table: String
  let link: String
  let column: String
  var pairs: [Pair] = []
  /// What is wrong with an entry, in two words, is made from these five expressions: target and current value, a second pair, and the kind of
  /// details.
  var short = ["''", "''", "''", "''", "0"]
  /// Joins that the expressions need.
  var joins = ""

  static let named: [String: EntryType] = Dictionary(uniqueKeysWithValues: all.map { ($0.className, $0) })

  /// Entries that could not be bound have a table of their own sort: no state, but a type and a message.
  static let failure = EntryType(
    className: "FailureEntry", tag: "Failure", table: "Reporting_failureentry",
    link: "Reporting_interaction_failures", column: "failureentry_id")

  static let all: [EntryType] = [
    make("Action", "actions") {
      $0.pairs = [
        Pair(key: "status", name: "Status", target: "e.\"status\"", current: "''"), same("output", "Exit status"),
      ]
    },
    make("Package", "packages") {
      $0.pairs = [pair("version", "Package version", "target_version", "current_version")]
      $0.short[0] = "e.\"target_version\""
      $0.short[1] = "e.\"current_version\""
    },
    make("Path", "paths") {
      $0.joins = """
         JOIN "Reporting_fileperms" tp ON tp."id" = e."target_perms_id" JOIN "Reporting_fileperms" cp ON cp."id" = e."current_perms_id" \
        LEFT JOIN "Reporting_linkentry" le ON le."pathentry_ptr_id" = e."id"
        """
      $0.pairs = [
        Pair(key: "owner", name: "Owner", target: "tp.\"owner\"", current: "cp.\"owner\""),
        Pair(key: "group", name: "Group", target: "tp.\"group\"", current: "cp.\"group\""),
        Pair(key: "mode", name: "Permissions", target: "tp.\"mode\"", current: "cp.\"mode\""),
        Pair(key: "link", name: "Target", target: "le.\"target_path\"", current: "le.\"current_path\""),
      ]
      // Without current permissions there is nothing to compare.
      $0.short = [
        "tp.\"mode\"",
        "CASE WHEN cp.\"owner\" = '' AND cp.\"group\" = '' AND cp.\"mode\" = '' THEN tp.\"mode\" ELSE cp.\"mode\" END",
        "COALESCE(le.\"target_path\", '')", "COALESCE(le.\"current_path\", '')", "e.\"detail_type\"",
      ]
    },
    make("Service", "services") {
      $0.pairs = [pair("status", "Status", "target_status", "current_status")]
      $0.short[0] = "e.\"target_status\""
      $0.short[1] = "e.\"current_status\""
    },
    make("SEBoolean", "sebooleans") { $0.pairs = [same("value", "Value")] },
    make("SEPort", "seports", context),
    make("SEFcontext", "sefcontexts") {
      context(&$0)
      $0.pairs.append(same("filetype", "File type"))
    },
    make("SENode", "senodes") {
      context(&$0)
      $0.pairs.append(same("proto", "Protocol"))
    },
    make("SELogin", "selogins") {
      $0.pairs = [pair("selinuxuser", "SELinux user", "selinuxuser", "current_selinuxuser")]
    },
    make("SEUser", "seusers") {
      $0.pairs = [
        pair("roles", "Roles", "roles", "current_roles"), pair("prefix", "Prefix", "prefix", "current_prefix"),
      ]
    },
    make("SEInterface", "seinterfaces", context),
    make("SEPermissive", "sepermissives") { _ in },
    make("SEModule", "semodules") { $0.pairs = [pair("disabled", "Disabled", "disabled", "current_disabled")] },
    make("POSIXUser", "posixusers") {
      $0.pairs = [
        pair("uid", "User number", "uid", "current_uid"), pair("group", "Group", "group", "current_group"),
        pair("gecos", "Full name", "gecos", "current_gecos"), pair("home", "Home", "home", "current_home"),
        pair("shell", "Shell", "shell", "current_shell"),
      ]
    },
    make("POSIXGroup", "posixgroups") { $0.pairs = [pair("gid", "Group number", "gid", "current_gid")] },
  ]

  private static func make(_ tag: String, _ plural: String, _ more: (inout EntryType) -> Void) -> EntryType {
    let lower = tag.lowercased()
    var type = EntryType(
      className: "\(tag)Entry", tag: tag, table: "Reporting_\(lower)entry", link: "Reporting_interaction_\(plural)",
      column: "\(lower)entry_id")
    more(&type)
    return type
  }

  private static func pair(_ key: String, _ name: String, _ target: String, _ current: String) -> Pair {
    Pair(key: key, name: name, target: "e.\"\(target)\"", current: "e.\"\(current)\"")
  }

  /// A value that has no other side.
  private static func same(_ column: String, _ name: String) -> Pair {
    Pair(key: column, name: name, target: "''", current: "e.\"\(column)\"")
  }

  private static func context(_ type: inout EntryType) {
    type.pairs = [pair("selinuxtype", "SELinux type", "selinuxtype", "current_selinuxtype")]
    type.short[0] = "e.\"selinuxtype\""
    type.short[1] = "COALESCE(e.\"current_selinuxtype\", '')"
  }

  static func find(_ className: String) -> EntryType? {
    className == failure.className ? failure : named[className]
  }

  var isFailure: Bool { className == Self.failure.className }
}

/// Numbers of column `state`.
enum EntryState: Int, CaseIterable {
  case good, bad, modified, extra

  init?(name: String) {
    guard let state = EntryState.allCases.first(where: { $0.name == name }) else { return nil }
    self = state
  }

  var name: String { mark.rawValue }

  var mark: Mark {
    switch self {
    case .good: .good
    case .bad: .bad
    case .modified: .modified
    case .extra: .extra
    }
  }
}

/// An entry in a list, with what is wrong with it.
struct EntryLine {
  var type: EntryType
  var id: Int
  var name: String
  var state: EntryState?
  var problems: [String]
  /// On how many clients, where that was asked.
  var count = 0

  /// What is wrong, in the words of Bcfg2's pages.
  ///
  /// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/models.py, short_list.
  static func problems(_ type: EntryType, _ state: EntryState?, exists: Bool, _ short: [String], detail: Int)
    -> [String]
  {
    if state == .extra, type.tag == "Path" || type.tag == "Package" { return ["Extra"] }
    var problems = state == .extra ? ["Extra"] : exists ? [] : ["Missing"]
    switch type.tag {
    case "Package":
      let isWrong = short[1].isEmpty || short[0] != short[1] || short[0] == "auto"
      if isWrong, exists { problems.append(short[1].isEmpty ? "Missing" : "Wrong version") }
    case "Path":
      if short[0] != short[1] { problems.append("File mode") }
      if detail == PathDetail.pruned.rawValue {
        problems.append("Directory has extra files")
      } else if detail != PathDetail.unused.rawValue {
        problems.append("Incorrect data")
      }
      if short[2] != short[3] { problems.append("Incorrect target") }
    case "Service":
      if short[0] != short[1] { problems.append("Incorrect status") }
    case "SEPort", "SEFcontext", "SENode", "SEInterface":
      if short[1].isEmpty || short[0] != short[1] { problems.append("Wrong SELinux type") }
    default: break
    }
    return problems
  }
}

/// Numbers of column `detail_type`.
enum PathDetail: Int {
  case unused, diff, binary, sensitive, sizeLimit, versionControl, pruned

  var name: String {
    switch self {
    case .unused: "Unused"
    case .diff: "Diff"
    case .binary: "Binary"
    case .sensitive: "Sensitive"
    case .sizeLimit: "Size limit exceeded"
    case .versionControl: "VCS output"
    case .pruned: "Pruned paths"
    }
  }
}
