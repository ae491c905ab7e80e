import EventLoop
import Glibc
import XMLRPC

/// The reason why no file can have a name.
package struct NamedFileError: Error, CustomStringConvertible {
  package let description: String

  package init(description: String) { self.description = description }
}

/// Turns names from outside (of a client, a group, an entry) into paths.
///
/// A name is one component, so that the file is in the folder itself; a symbolic link of that name, which could lead
/// anywhere, is refused. No other code makes paths from such names.
package enum NamedFile {
  /// Most bytes of a file's name.
  static let limitBytes = 255

  /// Returns the path of a file in a folder. The file need not exist.
  ///
  /// - Parameter name: the whole name of the file.
  /// - Throws: if no file of the folder can have the name.
  package static func path(_ name: String, in folder: String) throws(NamedFileError) -> String {
    try check(name, folder)
    let directory: FileDescriptor
    do throws(SystemError) {
      directory = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
    } catch {
      // Without the folder there is no link in it.
      if error.errno == ENOENT { return "\(folder)/\(name)" }
      throw NamedFileError(description: "\(error)")
    }
    var status = stat()
    if fstatat(directory.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFLNK {
      throw NamedFileError(description: "\(folder)/\(name) is a symbolic link, which is not followed")
    }
    return "\(folder)/\(name)"
  }

  /// Returns the path of a folder below another one.
  ///
  /// - Parameter path: names separated by slashes; leading, trailing and double slashes are ignored.
  /// - Throws: if one of the names cannot be a folder's, such as `..`.
  package static func folder(_ path: String, below folder: String) throws(NamedFileError) -> String {
    var found = folder
    for part in path.utf8.split(separator: UInt8(ascii: "/")) {
      let name = String(Substring(part))
      try check(name, found)
      found += "/\(name)"
    }
    return found
  }

  private static func check(_ name: String, _ folder: String) throws(NamedFileError) {
    let bytes = name.utf8
    var flaw: String?
    if bytes.isEmpty { flaw = "it is empty" }
    if bytes.count > limitBytes { flaw = "it has \(bytes.count) bytes, more than \(limitBytes)" }
    if bytes.contains(UInt8(ascii: "/")) { flaw = "it has a /" }
    if bytes.contains(where: { $0 < 0x20 || $0 == 0x7F }) { flaw = "it has a control character" }
    if Name.areSame(name, ".") || Name.areSame(name, "..") { flaw = "it is \(name)" }
    if let flaw { throw NamedFileError(description: "No file of \(folder) can be named \(name): \(flaw)") }
  }
}
