import CoreSupport
import Support
import Testing

@testable import Info

/// Modes that list what is known, against the text that Bcfg2 prints.
@Suite struct ListTests {
  @Test func tablesAreThoseOfBcfg2() async throws {
    try await InfoFixture.with { info async throws in
      let clients = """
         Client           | Profile  
        =============================
         one.example.com  | base     
         two.example.com  | other    

        """
      #expect(try await info.out("clients") == clients)
      #expect(try await info.out("clients 't*'").contains("two.example.com"))
      #expect(try await !info.out("clients 't*'").contains("one.example.com"))
      #expect(try await info.out("groups base").contains(" base    | yes      | None      \n"))
      #expect(try await info.out("bundles 'b*'") == " Group  | Bundles  \n===================\n base   | entries  \n")
      #expect(try await info.out("mappings Package").contains(" Rules   | Package  | ssh   \n"))
      #expect(try await !info.out("mappings Package").contains("motd"))
      #expect(try await info.out("mappings Path '/etc/*'").contains(" Cfg     | Path  | /etc/motd  \n"))
    }
  }

  @Test func unknownGroupsAreProblems() async throws {
    try await InfoFixture.with { info async throws in
      await #expect(throws: InfoProblem.self) { try await info.run("groups nosuch") }
      await #expect(throws: InfoProblem.self) { try await info.run("help nosuch") }
    }
  }

  @Test(arguments: [
    ("query -g web", "one.example.com\n"), ("query -g base,web", "one.example.com\n"),
    ("query -p base,other", "one.example.com\ntwo.example.com\n"),
    ("query -b entries", "one.example.com\ntwo.example.com\n"), ("query -g nosuch", "\n"),
    ("query -g web --json", "[\n  \"one.example.com\"\n]\n"),
  ])
  func queries(_ line: String, _ expected: String) async throws {
    try await InfoFixture.with { info async throws in #expect(try await info.out(line) == expected) }
  }

  @Test(arguments: ["query", "query -g a -p b", "nosuch", "quit", "build", "clients --nosuch"])
  func wrongLines(_ line: String) async throws {
    try await InfoFixture.with { info async throws in #expect(try await info.run(line).status == 2) }
  }

  @Test func metadataOfClients() async throws {
    try await InfoFixture.with { info async throws in
      let text = try await info.out("showclient one.example.com")
      #expect(text.hasPrefix("Hostname:   one.example.com\nProfile:    base\nGroups:     base "))
      #expect(text.contains("\n            web "))
      #expect(
        text.contains("Bundles:    entries\nConnector data\n\(String(repeating: "=", count: 80))\nProperties:  {"))
      let json = try await info.out("showclient one.example.com --json")
      #expect(json.contains(#""profile" : "base""#) && json.contains(#""aliases" : ["#))
      // A name that nobody knows is shown as it would be added, and is not added.
      _ = try await info.out("showclient nobody.example.com")
    }
  }

  @Test func entriesAndProbes() async throws {
    try await InfoFixture.with { info async throws in
      #expect(try await info.out("showentries two.example.com Path").hasSuffix(" Path        | /etc/motd  \n"))
      #expect(try await info.out("showentries one.example.com Path").contains(" BoundPath   | /srv       \n"))
      #expect(
        try await info.out("probes -p one.example.com") == "========\n kernel\n========\n\n#!/bin/sh\nuname -r\n\n\n")
      #expect(try await info.out("probes one.example.com").hasPrefix("<probes>\n  <probe name=\"kernel\""))
    }
  }

  @Test func propertiesAreMatched() async throws {
    try await InfoFixture.with { info async throws in
      let matched = "<Properties automatch=\"true\">\n  <B>2</B>\n</Properties>\n\n"
      #expect(try await info.out("automatch auto.xml one.example.com") == matched)
      #expect(try await info.out("automatch site.xml one.example.com") == "Automatch not enabled on site.xml\n")
      #expect(try await info.out("automatch -f site.xml one.example.com").contains("<A>1</A>"))
      await #expect(throws: InfoProblem.self) { try await info.run("automatch nosuch.xml one.example.com") }
    }
  }

  @Test func secretsOfTheConfigurationAreHidden() async throws {
    try await InfoFixture.with { info async throws in
      for line in ["config", "config --raw", "config --json"] {
        let text = try await info.out(line)
        #expect(text.contains("********") && !text.contains("foobat"), "\(line)")
      }
    }
  }

  @Test func helpHasEveryMode() async throws {
    try await InfoFixture.with { info async throws in
      let text = try await info.out("help")
      #expect(text.contains("build <hostname> [<filename>] - Build config for hostname, writing to filename."))
      for name in Arguments.names(isInteractive: false) {
        #expect(text.contains(name))
        #expect(try await info.out("help \(name)").contains("USAGE: bcfg2-info \(name)"))
        #expect(try await info.run("\(name) --help").status == 0)
      }
      await #expect(throws: InfoProblem.self) { try await info.run("debug -n") }
    }
  }
}
