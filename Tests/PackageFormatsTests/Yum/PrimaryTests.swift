import PackageSources
import Testing

@testable import PackageFormats

/// Reads the files of one part as `IndexReader` does, in pieces of one size.
func yum(
  _ primary: String, filelists: String? = nil, comps: String? = nil, modules: String? = nil, pieces: Int = 1 << 20
) throws -> [String] {
  func feed(_ text: String, _ parser: XMLPushParser) throws {
    try forEachPiece(of: Array(text.utf8), size: pieces) { try parser.write($0) }
    try parser.finish()
  }
  return try dump { builder in
    var modulesParser = ModulesParser(file: "modules.yaml")
    try withUnsafeMutablePointer(to: &builder) { builder in
      let parser = try PrimaryParser(file: "primary.xml", builder: builder)
      try feed(primary, parser)
      if let comps { try feed(comps, try CompsParser(file: "comps.xml", builder: builder)) }
      if let modules {
        try forEachPiece(of: Array(modules.utf8), size: pieces) { try modulesParser.write($0) }
        try modulesParser.finish(into: &builder.pointee)
      }
      let wanted = builder.pointee.requiredTexts { $0.first == UInt8(ascii: "/") }.union(parser.richPaths)
      let files = try FilelistsParser(
        file: "filelists.xml", builder: builder, records: parser.records, wanted: wanted)
      try feed(filelists ?? primary, files)
    }
  }
}

/// The checksum of a package, by which the files name it.
func packageID(_ number: Int) -> String {
  let text = String(number, radix: 16)
  return String(repeating: "0", count: 64 - text.count - 33) + text + String(repeating: "a", count: 33)
}

@Suite struct PrimaryTests {
  static let primary = """
    <?xml version="1.0" encoding="UTF-8"?>
    <metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
    <package type="rpm">
      <name>app</name>
      <arch>x86_64</arch>
      <version epoch="1" ver="2.0" rel="3.fc40"/>
      <checksum type="sha256" pkgid="YES">\(packageID(1))</checksum>
      <summary>name &amp; &lt;arch&gt;</summary>
      <description>\(String(repeating: "long ", count: 5000))</description>
      <location href="a.rpm"/>
      <format>
        <rpm:license>MIT</rpm:license>
        <rpm:provides>
          <rpm:entry name="app" flags="EQ" epoch="1" ver="2.0" rel="3.fc40"/>
          <rpm:entry name="libapp.so()(64bit)"/>
        </rpm:provides>
        <rpm:requires>
          <rpm:entry name="liba" flags="GE" epoch="0" ver="1"/>
          <rpm:entry name="/bin/sh" pre="1"/>
          <rpm:entry name="(a &amp; b if (/usr/bin/c or d))"/>
          <rpm:entry name="old" flags="LT" ver="2" rel="1"/>
        </rpm:requires>
        <rpm:recommends><rpm:entry name="r" flags="LE" ver="1"/></rpm:recommends>
        <rpm:suggests><rpm:entry name="s" flags="GT" ver="1"/></rpm:suggests>
        <rpm:supplements><rpm:entry name="t"/></rpm:supplements>
        <rpm:enhances><rpm:entry name="u"/></rpm:enhances>
        <rpm:conflicts><rpm:entry name="v" flags="EQ" epoch="0" ver="1"/></rpm:conflicts>
        <rpm:obsoletes><rpm:entry name="w"/></rpm:obsoletes>
        <file>/etc/app.conf</file>
      </format>
    </package>
    <package type="rpm">
      <name>bash</name><arch>noarch</arch><version ver="5" rel="1"/>
      <checksum type="sha256" pkgid="YES">\(packageID(2))</checksum>
      <format>
        <file>/bin/sh</file><file>/bin/bash</file>
      </format>
    </package>
    </metadata>
    """
  static let packages = [
    "app 1:2.0-3.fc40 x86_64",
    "  depends liba greaterOrEqual 0:1",
    "  depends /bin/sh pre",
    "  depends (a & b if (/usr/bin/c or d)) rich",
    "  depends old less 2-1",
    "  recommends r lessOrEqual 1",
    "  suggests s greater 1",
    "  supplements t",
    "  enhances u",
    "  conflicts v equal 0:1",
    "  obsoletes w",
    "  provides app equal 1:2.0-3.fc40",
    "  provides libapp.so()(64bit)",
    "bash 0:5-1 noarch",
  ]

  @Test(arguments: pieceSizes) func packagesAreRead(_ pieces: Int) throws {
    #expect(try yum(Self.primary, pieces: pieces) == Self.packages + ["file /bin/sh of bash"])
  }

  @Test(arguments: pieceSizes) func onlyRequiredPathsAreKept(_ pieces: Int) throws {
    let filelists = """
      <filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="2">
      <package pkgid="\(packageID(2))" name="bash" arch="noarch">
        <version epoch="0" ver="5" rel="1"/>
        <file>/usr/bin/bash</file>
        <file type="ghost">/bin/sh</file>
        <file type="dir">/usr/bin/c</file>
      </package>
      <package pkgid="\(packageID(1))" name="app" arch="x86_64">
        <version epoch="1" ver="2.0" rel="3.fc40"/>
        <file>/usr/bin/c</file>
        <file>app</file>
      </package>
      <package pkgid="\(packageID(3))" name="none" arch="x86_64"><file>/bin/sh</file></package>
      </filelists>
      """
    #expect(
      try yum(Self.primary, filelists: filelists, pieces: pieces)
        == Self.packages + ["file /bin/sh of bash", "file /usr/bin/c of bash", "file /usr/bin/c of app"])
  }

  /// Bcfg2 goes by the name of a package alone.
  @Test func listsOfFilesWithOtherNumbersGoByName() throws {
    let filelists = """
      <filelists><package pkgid="1" name="bash"><file>/usr/bin/c</file></package>
      <package name="app"><file>/bin/sh</file></package></filelists>
      """
    #expect(
      try yum(Self.primary, filelists: filelists) == Self.packages + ["file /bin/sh of app", "file /usr/bin/c of bash"])
  }

  @Test(arguments: [
    ("<html>", "primary.xml:1: the root element is no <metadata> of packages"),
    ("<metadata><package></package></metadata>", "primary.xml:1: a package has no name"),
    ("<metadata>\n<package><format/></package></metadata>", "primary.xml:2: a package has no name"),
    (
      "<metadata><package><name>a</name><format><requires><entry/></requires></format></package></metadata>",
      "primary.xml:1: a dependency has no name"
    ),
    ("<metadata><package>", "primary.xml:1: is no well-formed XML: "),
    ("<metadata>\n\n<package></metadata>", "primary.xml:3: is no well-formed XML: Opening and ending tag mismatch"),
  ])
  func whatIsWrongIsNamed(_ text: String, _ message: String) {
    for pieces in pieceSizes {
      let error = errorText { _ = try yum(text, pieces: pieces) }
      #expect(error.hasPrefix(message), "\(error)")
    }
  }

  @Test func aPackageWithoutAFormatIsThere() throws {
    #expect(try yum("<metadata><package><name>a</name></package><other/></metadata>") == ["a  "])
    #expect(try yum("<metadata/>") == [])
  }

  @Test func listsOutsideOfAPackageDoNotCount() throws {
    let list = "<requires><entry name='x'/></requires>"
    let name = "<name>a</name>"
    #expect(try yum("<metadata><other><format>\(list)</format></other></metadata>") == [])
    #expect(try yum("<metadata><package>\(name)<other>\(list)</other></package></metadata>") == ["a  "])
    #expect(
      try yum("<metadata><package>\(name)<format/><format>\(list)</format></package></metadata>")
        == ["a  ", "  depends x"])
  }
}
