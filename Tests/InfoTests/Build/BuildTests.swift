import CoreSupport
import Glibc
import Support
import Testing

@testable import Info

/// Modes that build configurations.
@Suite struct BuildTests {
  @Test func configurationsAreDocuments() async throws {
    try await InfoFixture.with { info async throws in
      let text = try await info.out("build one.example.com")
      #expect(
        text.hasPrefix("<?xml version='1.0' encoding='UTF-8'?>\n<Configuration version=\"2.0\" revision=\"-1\">\n"))
      #expect(text.contains("    <Package name=\"ssh\" type=\"deb\" version=\"auto\"/>\n"))
      #expect(try await info.out("build one.example.com '\(info.folder.file("one.xml"))'").isEmpty)
      #expect(try info.folder.text("one.xml") == text)
      #expect(try await info.out("build --json one.example.com").contains("\"type\" : \"Configuration\""))
    }
  }

  @Test func filesAndBundlesAreBuiltAlone() async throws {
    try await InfoFixture.with { info async throws in
      let file = try await info.out("buildfile /etc/motd one.example.com")
      #expect(file.contains("mode=\"0640\"") && file.hasSuffix(">web\n</Path>\n"))
      let other = try await info.out("buildfile --altsrc /etc/motd /etc/other two.example.com")
      #expect(other.hasPrefix("<Path name=\"/etc/other\"") && other.contains(">hello\n</Path>"))
      for name in ["entries", "entries.xml"] {
        let text = try await info.out("buildbundle \(name) two.example.com")
        #expect(text == "<Bundle>\n  <Path name=\"/etc/motd\"/>\n  <Package name=\"ssh\"/>\n</Bundle>\n\n", "\(name)")
      }
      for line in ["buildfile /nosuch one.example.com", "buildbundle nosuch one.example.com"] {
        await #expect(throws: InfoProblem.self) { try await info.run(line) }
      }
    }
  }

  @Test func allClientsHaveAFile() async throws {
    try await InfoFixture.with { info async throws in
      #expect(try await info.run("buildall '\(info.folder.file("all/of/them"))'").status == 0)
      for host in ["one.example.com", "two.example.com"] {
        let expected = try await info.out("build \(host)")
        #expect(try info.folder.text("all/of/them/\(host).xml") == expected)
      }
      #expect(try await info.run("buildallfile '\(info.folder.file("motds"))' /etc/motd 't*'").status == 0)
      #expect(try info.folder.text("motds/two.example.com").hasSuffix(">hello\n</Path>\n"))
      #expect(throws: (any Error).self) { try info.folder.text("motds/one.example.com") }
    }
  }

  /// A folder that was there stays.
  @Test func nothingIsLeftOfAFailure() async throws {
    try await InfoFixture.with { info async throws in
      mkdir(info.folder.file("there"), 0o700)
      let before = info.folder.names()
      for folder in ["all/of/them", "there", "there/more"] {
        for line in [
          "buildall '\(info.folder.file(folder))' 'zz*'", "buildallfile '\(info.folder.file(folder))' /etc/motd 'zz*'",
        ] {
          await #expect(throws: InfoProblem.self) { try await info.run(line) }
          #expect(info.folder.names() == before && info.folder.names(in: "there").isEmpty, "\(line)")
        }
      }
      #expect(try await info.run("buildallfile '\(info.folder.file("new"))' /nosuch").status == 1)
      #expect(info.folder.names() == before)
    }
  }

  @Test func entriesAreWrittenBelowAFolder() async throws {
    try await InfoFixture.with { info async throws in
      let folder = info.folder.file("root")
      #expect(try await info.run("builddir one.example.com '\(folder)'").status == 0)
      #expect(try info.folder.text("root/etc/motd") == "web\n")
      // Written once more, over what is there.
      #expect(try await info.run("builddir two.example.com '\(folder)'").status == 0)
      #expect(try info.folder.text("root/etc/motd") == "hello\n")
    }
  }

  private func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  @Test func powerIsGivenOnlyWhereItIsAskedFor() async throws {
    var files = InfoFixture.files
    // The test's own user and group: it may be root's, whose files keep the bits.
    let (user, group) = (getuid(), getgid())
    files["Bundler/entries.xml"] = """
      <Bundle>
        <BoundPath name="/s" type="directory" owner="\(user)" group="\(group)" mode="3755"/>
        <BoundPath name="/s/su" type="file" owner="\(user)" group="\(group)" mode="6755">text</BoundPath>
        <BoundPath name="/s/disk" type="device" dev_type="block" major="8" minor="0" owner="\(user)" group="\(group)" mode="0660"/>
        <BoundPath name="/s/pipe" type="device" dev_type="fifo" owner="\(user)" group="\(group)" mode="0600"/>
      </Bundle>
      """
    try await InfoFixture.with(files: files) { info async throws in
      let folder = info.folder.file("above/root")
      // What another name of the old file leads to is not written to.
      let other = info.folder.write("precious\n", to: "other")
      #expect(mkdir(info.folder.file("again"), 0o755) == 0 && mkdir(info.folder.file("again/s"), 0o755) == 0)
      #expect(link(other, info.folder.file("again/s/su")) == 0)
      let plain = try await info.run("builddir one.example.com '\(folder)'")
      #expect(plain.status == 0, "\(plain)")
      #expect(mode(folder) == 0o700 && mode(info.folder.file("above")) == 0o700)
      #expect(mode("\(folder)/s") == 0o1755 && mode("\(folder)/s/su") == 0o755)
      #expect(mode("\(folder)/s/disk") == nil && mode("\(folder)/s/pipe") == 0o600)
      #expect(plain.out.contains("Path:/s/su written without its setuid and setgid bits, which --privileged keeps\n"))
      #expect(plain.out.contains("Path:/s/disk left out: --privileged makes devices\n"))
      let asked = try await info.run("builddir --privileged one.example.com '\(info.folder.file("again"))'")
      #expect(mode(info.folder.file("again/s/su")) == 0o6755 && mode(info.folder.file("again/s")) == 0o3755)
      // Only root makes devices.
      let isRoot = mode(info.folder.file("again/s/disk")) != nil
      #expect(isRoot || asked.out.contains("Failed to install entry Path:/s/disk: "), "\(asked)")
      #expect(try info.folder.text("other") == "precious\n" && mode(info.folder.file("again")) == 0o755)
    }
  }

  /// Folders that are no entries are this user's alone, and one that may not be written to is filled before.
  @Test func foldersGetTheirModesLast() async throws {
    var files = InfoFixture.files
    let (user, group) = (getuid(), getgid())
    files["Bundler/entries.xml"] = """
      <Bundle>
        <BoundPath name="/a/b" type="directory" owner="\(user)" group="\(group)" mode="0555"/>
        <BoundPath name="/a/b/c" type="directory" owner="\(user)" group="\(group)" mode="0500"/>
        <BoundPath name="/a/b/c/d" type="file" owner="\(user)" group="\(group)" mode="0644">text</BoundPath>
        <BoundPath name="/a/b/c/e" type="hardlink" to="/a/b/c/d"/>
        <BoundPath name="/a/x" type="directory" owner="\(user)" group="\(group)" mode="bad"/>
      </Bundle>
      """
    try await InfoFixture.with(files: files) { info async throws in
      let folder = info.folder.file("root")
      let mask = umask(0)
      defer { umask(mask) }
      let result = try await info.run("builddir one.example.com '\(folder)'")
      #expect(result.status == 1 && result.out.contains("mode bad is no file mode"), "\(result)")
      #expect(mode("\(folder)/a") == 0o700 && mode("\(folder)/a/b") == 0o555 && mode("\(folder)/a/b/c") == 0o500)
      #expect(try info.folder.text("root/a/b/c/e") == "text")
      chmod("\(folder)/a/b", 0o700)
      chmod("\(folder)/a/b/c", 0o700)
    }
  }

  @Test func configurationsAreTheirOwnersAlone() async throws {
    try await InfoFixture.with { info async throws in
      #expect(try await info.run("buildall '\(info.folder.file("all"))'").status == 0)
      #expect(mode(info.folder.file("all")) == 0o700 && mode(info.folder.file("all/one.example.com.xml")) == 0o600)
      #expect(try await info.run("build one.example.com '\(info.folder.file("one"))'").status == 0)
      #expect(mode(info.folder.file("one")) == 0o600)
    }
  }

  /// A link of an earlier run, or of the configuration itself, leads nowhere.
  @Test func nothingIsWrittenThroughLinks() async throws {
    var files = InfoFixture.files
    files["Bundler/entries.xml"] = """
      <Bundle>
        <BoundPath name="/a" type="symlink" to="../outside"/>
        <BoundPath name="/a/b" type="file" owner="root" group="root" mode="0644">text</BoundPath>
        <BoundPath name="/gone" type="nonexistent"/>
        <BoundPath name="/vcs" type="vcs"/>
        <Path name="/missing"/>
      </Bundle>
      """
    try await InfoFixture.with(files: files) { info async throws in
      info.folder.write("", to: "outside/marker")
      let folder = info.folder.file("root")
      let first = try await info.run("builddir one.example.com '\(folder)'")
      #expect(first.out.contains("Skipping entry Path:/missing with bind failure: "))
      #expect(first.out.contains("Skipping entry Path:/vcs of type vcs\n") && !first.out.contains("/gone"))
      #expect(first.out.contains("Failed to install entry Path:/a: ") && first.status == 1)
      #expect(try info.folder.text("root/a/b") == "text")
      info.folder.remove("root/a/b")
      info.folder.remove("root/a")
      info.fixture.edit(
        "Bundler/entries.xml", #"<Bundle><BoundPath name="/a" type="symlink" to="../outside"/></Bundle>"#)
      #expect(try await info.run("builddir one.example.com '\(folder)'").status == 0)
      info.fixture.edit("Bundler/entries.xml", files["Bundler/entries.xml"] ?? "")
      let second = try await info.run("builddir one.example.com '\(folder)'")
      #expect(second.status == 1 && second.out.contains("Failed to install entry Path:/a/b: "))
      #expect(throws: (any Error).self) { try info.folder.text("outside/b") }
    }
  }
}
