import Testing

@testable import Lint

struct EntryRequirementsTests {
  /// What an entry lacks, and what is not in its form.
  private func problems(_ tag: String, _ attributes: [String: String]) -> [String] {
    switch EntryRequirements.of(tag, { attributes[$0] }) {
    case .unknownTag: ["tag"]
    case .unknownType: ["type"]
    case .requirements(let required):
      required.attributes.compactMap { name, format in
        guard let value = attributes[name] else { return "no \(name)" }
        return format?(value) ?? true ? nil : "bad \(name)"
      } + (required.needsText ? ["text"] : [])
    }
  }

  @Test(
    arguments: [
      ("Path", ["name": "/a", "type": "directory", "owner": "root", "group": "0", "mode": "0755"], []),
      (
        "Path", ["name": "/a", "type": "directory", "owner": "1a", "mode": "rwx"],
        ["bad owner", "no group", "bad mode"]
      ),
      ("Path", ["name": "a", "type": "nosuch"], ["bad name"]), ("Path", ["name": "a", "type": "symlink"], []),
      ("Path", ["type": "file", "owner": "root", "group": "root", "mode": "644"], ["text"]),
      (
        "Path", ["type": "device", "owner": "root", "group": "root", "mode": "644", "dev_type": "block", "major": "x"],
        ["bad major", "no minor"]
      ),
      ("Path", ["type": "hardlink", "owner": "root", "group": "root", "mode": "0644", "to": "b"], ["bad to"]),
      ("Path", ["type": "vcs", "vcstype": "cvs", "revision": "1", "sourceurl": "x"], ["bad vcstype"]),
      ("Service", ["name": "a", "type": "smf"], ["no FMRI"]), ("Service", ["name": "a"], []),
      ("Package", [:], ["no name"]),
      (
        "Action", ["name": "a", "timing": "never", "when": "always", "status": "check"], ["bad timing", "no command"]
      ),
      ("SEPort", ["name": "22-23/tcp", "selinuxtype": "ssh_port_t"], []),
      ("SEPort", ["name": "22", "selinuxtype": "x"], ["bad name", "bad selinuxtype"]),
      ("SEUser", ["name": "a_u", "roles": "a_r b_r", "prefix": "user"], []),
      ("ACL", ["type": "default", "scope": "user", "perms": "rwx"], []),
      ("ACL", ["type": "mask", "perms": "9"], ["bad perms"]),
      ("ACL", ["type": "other"], ["type"]), ("SEBoolean", ["name": "a", "value": "on", "type": "x"], ["type"]),
      ("Nonsense", [:], ["tag"]), ("POSIXUser", ["name": "a b"], ["bad name"]),
    ] as [(String, [String: String], [String])])
  func entriesHaveWhatClientsNeed(_ tag: String, _ attributes: [String: String], _ expected: [String]) {
    #expect(problems(tag, attributes) == expected)
  }
}
