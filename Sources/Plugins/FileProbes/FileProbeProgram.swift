/// The program that reports a file of a client: permissions and contents as an XML element.
enum FileProbeProgram {
  static func text(for path: String) -> String {
    """
    #!/usr/bin/env python
    import base64, grp, os, pwd, stat, sys
    from xml.sax.saxutils import quoteattr

    def name_of(find, number):
        try:
            return find(number)[0]
        except KeyError:
            return str(number)

    def utf8(data):
        return data.decode("UTF-8") if sys.version_info[0] > 2 else data

    path = utf8(\(literal(path)))

    # Errors are told, but never by an exit status: that could end the client's run.
    try:
        status = os.stat(path)
        data = open(path, "rb").read()
    except (IOError, OSError):
        sys.stderr.write("Could not read %s: %s\\n" % (path, sys.exc_info()[1]))
        sys.exit(0)
    attributes = [("name", path), ("owner", name_of(pwd.getpwuid, status.st_uid)),
                  ("group", name_of(grp.getgrgid, status.st_gid)),
                  ("mode", "%04o" % stat.S_IMODE(status.st_mode))]
    print("<ProbedFileData %s>%s</ProbedFileData>"
          % (" ".join("%s=%s" % (key, quoteattr(value)) for key, value in attributes),
             utf8(base64.b64encode(data))))

    """
  }

  /// The path as bytes that Python 2 and 3 read alike.
  private static func literal(_ path: String) -> String {
    var text = "b\""
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "\\"), UInt8(ascii: "\""): text += "\\" + String(UnicodeScalar(byte))
      case 0x20..<0x7F: text.unicodeScalars.append(UnicodeScalar(byte))
      default: text += byte < 0x10 ? "\\x0" + String(byte, radix: 16) : "\\x" + String(byte, radix: 16)
      }
    }
    return text + "\""
  }
}
