package import Glibc

/// Names of users and groups of this system.
package nonisolated enum Accounts {
  /// A user's number from a name or a number; nil if no such name is known.
  static func user(_ text: String) -> uid_t? {
    if let number = uid_t(text) { return number == .max ? nil : number }
    return getpwnam(text).map { $0.pointee.pw_uid }
  }

  /// A group's number from a name or a number; nil if no such name is known.
  static func group(_ text: String) -> gid_t? {
    if let number = gid_t(text) { return number == .max ? nil : number }
    return getgrnam(text).map { $0.pointee.gr_gid }
  }

  /// Names of a user and a group; numbers where they have none.
  package static func names(of user: uid_t, _ group: gid_t) -> (user: String, group: String) {
    (
      getpwuid(user).map { String(cString: $0.pointee.pw_name) } ?? "\(user)",
      getgrgid(group).map { String(cString: $0.pointee.gr_name) } ?? "\(group)"
    )
  }

  /// Name and home of a user, nil if the number has no entry.
  package static func entry(of user: uid_t) -> (name: String, home: String)? {
    guard let entry = getpwuid(user) else { return nil }
    return (String(cString: entry.pointee.pw_name), String(cString: entry.pointee.pw_dir))
  }
}

/// Makes the paths that options contain absolute.
package nonisolated enum Paths {
  /// `~` and `~user` expanded, relative paths taken from the working directory, `.`, `..` and double slashes resolved
  /// by text alone: Python's `abspath(expanduser(path))`.
  package static func absolute(_ path: String) -> String {
    var path = expandingHome(path)
    if !path.hasPrefix("/"), let folder = getcwd(nil, 0) {
      path = String(cString: folder) + "/" + path
      free(folder)
    }
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    // POSIX keeps exactly two leading slashes apart, and so does Python.
    let root = path.hasPrefix("//") && !path.hasPrefix("///") ? "//" : "/"
    return root + parts.joined(separator: "/")
  }

  /// Where a program of a name is, by PATH; nil where it is not.
  static func ofProgram(_ name: String) -> String? {
    let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    let paths = folders.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(name)" }
    return name.isEmpty ? nil : paths.first { access($0, X_OK) == 0 }
  }

  private static func expandingHome(_ path: String) -> String {
    guard path.hasPrefix("~") else { return path }
    let end = path.firstIndex(of: "/") ?? path.endIndex
    let name = path[path.index(after: path.startIndex)..<end]
    var home: String?
    if name.isEmpty {
      home = getenv("HOME").map { String(cString: $0) } ?? Accounts.entry(of: getuid())?.home
    } else {
      home = getpwnam(String(name)).map { String(cString: $0.pointee.pw_dir) }
    }
    guard var home else { return path }
    while home.hasSuffix("/") { home.removeLast() }
    let rest = home + path[end...]
    return rest.isEmpty ? "/" : rest
  }
}
