// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6, warnings are errors.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  // Swift's run-time check for overlapping accesses to a field takes a tenth of the time of a configuration. Debug builds,
  // and so all tests, keep it.
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Targets on the event loop: one thread, so the main actor is the default isolation.
let onLoop: [SwiftSetting] = strict + [.defaultIsolation(MainActor.self)]

/// With BCFG2_FUZZ in the environment the parsers are built for libFuzzer, with the program of Tests/Fuzz/Server.
/// scripts/fuzz.sh does so, in a build folder of its own.
let isFuzzing = Context.environment["BCFG2_FUZZ"] != nil
let fuzzed: [SwiftSetting] = isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer"])] : []
let fuzzTargets: [Target] =
  isFuzzing
  ? [
    .executableTarget(
      name: "ServerFuzz",
      dependencies: [
        "COpenSSL", "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Templates", "Core",
        "PackageSources", "PackageFormats", "InstanceTags", "ReportRecords", "Plugins", "Server",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      path: "Tests/Fuzz/Server", swiftSettings: onLoop,
      linkerSettings: [.unsafeFlags([Context.environment["BCFG2_FUZZ"] ?? "", "-lstdc++"])])
  ] : []

/// Links a command as the daemon is linked, with Swift's libraries inside. ArgumentParser uses FoundationEssentials, whose own
/// libraries the compiler does not name.
let staticTool: [LinkerSetting] = [
  .unsafeFlags(
    ["-static-stdlib", "-lFoundationEssentials", "-l_FoundationCollections", "-l_FoundationCShims"],
    .when(configuration: .release))
]

/// Packages that only the report pages use: a build with `--disable-default-traits` has no bcfg2-web and needs none of them.
let onWeb = TargetDependencyCondition.when(traits: ["Web"])

/// Packages that only the core on SwiftNIO uses.
let onNIO = TargetDependencyCondition.when(traits: ["NIO"])

/// The same for the report pages: Hummingbird's dependencies use all of Foundation.
let staticWeb: [LinkerSetting] =
  staticTool + [
    .unsafeFlags(
      [
        "-lFoundation", "-lCoreFoundation", "-lFoundationInternationalization", "-l_FoundationICU",
        "-lswiftSynchronization", "-lstdc++",
      ],
      .when(configuration: .release))
  ]

/// The Python modules of the template renderers.
let rendererModules = [
  "bootstrap", "division", "engines", "errors", "genshicode", "helpers", "main", "properties", "queries", "system",
  "textoutput", "textparse", "textsteps", "title", "trace", "values", "wire",
]

let package = Package(
  name: "bcfg2-swift",
  products: [
    .executable(name: "bcfg2-server", targets: ["bcfg2-server"]),
    .executable(name: "bcfg2-packages", targets: ["bcfg2-packages"]),
    .executable(name: "bcfg2-report-collector", targets: ["bcfg2-report-collector"]),
    .executable(name: "bcfg2-reports", targets: ["bcfg2-reports"]),
    .executable(name: "bcfg2-admin", targets: ["bcfg2-admin"]),
    .executable(name: "bcfg2-info", targets: ["bcfg2-info"]),
    .executable(name: "bcfg2-lint", targets: ["bcfg2-lint"]),
    .executable(name: "bcfg2-crypt", targets: ["bcfg2-crypt"]),
    .executable(name: "bcfg2-test", targets: ["bcfg2-test"]),
    .executable(name: "bcfg2-web", targets: ["bcfg2-web"]),
  ],
  traits: [
    .trait(name: "Web", description: "bcfg2-web, the report pages, which need Hummingbird and SwiftNIO"),
    .trait(name: "NIO", description: "The server core on SwiftNIO: [server] backend = nio"),
    .default(enabledTraits: ["Web"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.0.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.83.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.20.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.0.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.0.0"),
  ],
  targets: [
    .target(name: "CLinux"),
    .systemLibrary(
      name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"]), .yum(["openssl-devel"])]),
    .systemLibrary(
      name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"]), .yum(["libxml2-devel"])]),
    .systemLibrary(
      name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"]), .yum(["pcre2-devel"])]),
    .systemLibrary(
      name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"]), .yum(["libyaml-devel"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .yum(["zlib-devel"])]),
    .systemLibrary(name: "CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"]), .yum(["xz-devel"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .yum(["libzstd-devel"])]),
    .systemLibrary(name: "CBZip2", providers: [.apt(["libbz2-dev"]), .yum(["bzip2-devel"])]),
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"]), .yum(["libcurl-devel"])]),
    .target(name: "TextBytes", exclude: ["README.md"], swiftSettings: strict + fuzzed),
    .target(
      name: "EventLoop",
      dependencies: [
        "CLinux", "COpenSSL",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop + fuzzed),
    .target(name: "XMLRPC", exclude: ["README.md"], swiftSettings: strict + fuzzed),
    .target(
      name: "Formats",
      dependencies: ["CPCRE2", "CYAML", "XMLRPC", .product(name: "Logging", package: "swift-log")],
      exclude: ["README.md"],
      swiftSettings: onLoop + fuzzed),
    .target(
      name: "Identity",
      dependencies: ["EventLoop", "XMLRPC"],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(
      name: "Repository",
      dependencies: [
        "CLinux", "COpenSSL", "CLibXML2", "TextBytes", "EventLoop", "XMLRPC", "Formats",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop + fuzzed),
    .target(name: "CDatabases"),
    .target(
      name: "Databases", dependencies: ["CDatabases", "TextBytes"], exclude: ["README.md"], swiftSettings: strict),
    .target(
      name: "LoopDatabases",
      dependencies: [
        "CLinux", "CDatabases", "TextBytes", "EventLoop", "Databases", .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(name: "ReportRecords", exclude: ["README.md"], swiftSettings: strict + fuzzed),
    .target(
      name: "ReportStore",
      dependencies: ["Databases", "ReportRecords"],
      exclude: ["README.md"],
      swiftSettings: strict),
    .target(
      name: "ServerSettings",
      dependencies: [
        "CLinux", "EventLoop", "XMLRPC", "Formats", "Databases", .product(name: "Logging", package: "swift-log"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop + fuzzed),
    .target(
      name: "Templates",
      dependencies: ["EventLoop", .product(name: "DequeModule", package: "swift-collections")],
      exclude: ["README.md"],
      // Embeds the program of the template renderers in the executable.
      resources: rendererModules.map { .embedInCode("renderer/\($0).py") },
      swiftSettings: onLoop + fuzzed),
    .target(
      name: "Core",
      dependencies: [
        "CLinux", "COpenSSL", "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings",
        "Databases", "LoopDatabases", "Templates",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(name: "PackageSources", exclude: ["README.md"], swiftSettings: strict + fuzzed),
    .target(
      name: "InstanceTags",
      dependencies: ["COpenSSL", "EventLoop", "XMLRPC", "Formats"],
      exclude: ["README.md"],
      swiftSettings: strict + fuzzed),
    .target(
      name: "PackageFormats",
      dependencies: ["CZlib", "CLZMA", "CZstd", "CBZip2", "CLibXML2", "CYAML", "PackageSources"],
      exclude: ["README.md"],
      swiftSettings: strict + fuzzed),
    .target(
      name: "PackageFetching",
      dependencies: [
        "CLinux", "CCurl", "COpenSSL", "EventLoop", "XMLRPC", "PackageSources", "PackageFormats", "InstanceTags",
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(
      name: "Plugins",
      dependencies: [
        "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Templates", "PackageSources",
        "InstanceTags", "Databases", "LoopDatabases", "ReportRecords", "Core",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop + fuzzed),
    .target(
      name: "Networking",
      dependencies: [
        "CLinux", "EventLoop", "XMLRPC", "Identity", "ServerSettings",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(
      name: "Monitoring",
      dependencies: ["EventLoop", "XMLRPC", .product(name: "Logging", package: "swift-log")],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(
      name: "Server",
      dependencies: [
        "CLinux", "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Databases",
        "LoopDatabases", "Templates", "Core", "Plugins", "Networking", "Monitoring",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .target(
      name: "NIOServer",
      dependencies: [
        "EventLoop", "ServerSettings", "Networking",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio", condition: onNIO),
        .product(name: "NIOCore", package: "swift-nio", condition: onNIO),
        .product(name: "NIOPosix", package: "swift-nio", condition: onNIO),
        .product(name: "NIOTLS", package: "swift-nio", condition: onNIO),
        .product(name: "NIOSSL", package: "swift-nio-ssl", condition: onNIO),
      ],
      exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "bcfg2-server",
      dependencies: [
        "EventLoop", "LoopDatabases", "ServerSettings", "Networking", "Server", "NIOServer",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop,
      linkerSettings: [.unsafeFlags(["-static-stdlib"], .when(configuration: .release))]),
    .executableTarget(
      name: "bcfg2-packages",
      dependencies: [
        "EventLoop", "LoopDatabases", "Identity", "ServerSettings", "Core", "PackageSources", "PackageFetching",
        "Plugins", "Server", "Commands",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "Commands",
      dependencies: [
        "EventLoop", "ServerSettings", "Databases", "ReportStore", "Core", "Plugins", "Server",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .executableTarget(
      name: "bcfg2-report-collector",
      dependencies: [
        "EventLoop", "XMLRPC", "Repository", "Databases", "ReportRecords", "ReportStore", "ServerSettings", "Core",
        "Plugins", "Server", "Commands",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .executableTarget(
      name: "bcfg2-reports",
      dependencies: [
        "ServerSettings", "ReportRecords", "ReportStore", "Commands",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "Administration",
      dependencies: [
        "CCurl", "COpenSSL", "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Core",
        "Plugins", .product(name: "Logging", package: "swift-log"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .executableTarget(
      name: "bcfg2-admin",
      dependencies: [
        "EventLoop", "LoopDatabases", "XMLRPC", "Identity", "Repository", "ServerSettings", "Databases", "ReportStore",
        "Core", "Plugins", "Server", "Commands", "Administration",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "Info",
      dependencies: [
        "TextBytes", "EventLoop", "XMLRPC", "Identity", "Repository", "ServerSettings", "Templates", "Core", "Plugins",
        "Server",
        "Commands",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "bcfg2-info",
      dependencies: ["EventLoop", "LoopDatabases", "Info"],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "Lint",
      dependencies: [
        "CLibXML2", "EventLoop", "XMLRPC", "Formats", "Repository", "ServerSettings", "Templates", "Core", "Plugins",
        "Server",
        .product(name: "Logging", package: "swift-log"),
      ],
      exclude: ["README.md"],
      swiftSettings: onLoop),
    .executableTarget(
      name: "bcfg2-lint",
      dependencies: [
        "EventLoop", "LoopDatabases", "ServerSettings", "Server", "Commands", "Lint",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "Crypt",
      dependencies: ["CLibXML2", "EventLoop", "Repository"],
      exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "bcfg2-crypt",
      dependencies: [
        "EventLoop", "Repository", "ServerSettings", "Core", "Crypt", "Commands",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "ClientChecks",
      dependencies: ["Repository"],
      exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "bcfg2-test",
      dependencies: [
        "EventLoop", "XMLRPC", "LoopDatabases", "Formats", "Identity", "Repository", "ServerSettings", "Core", "Server",
        "ClientChecks", "Commands",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticTool),
    .target(
      name: "ReportWeb",
      dependencies: [
        "COpenSSL", "Databases", "ReportRecords", "ReportStore",
        .product(name: "Hummingbird", package: "hummingbird", condition: onWeb),
        .product(name: "HummingbirdCore", package: "hummingbird", condition: onWeb),
        .product(name: "NIOCore", package: "swift-nio", condition: onWeb),
        .product(name: "NIOPosix", package: "swift-nio", condition: onWeb),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras", condition: onWeb),
        .product(name: "HTTPTypes", package: "swift-http-types", condition: onWeb),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: onWeb),
        .product(name: "UnixSignals", package: "swift-service-lifecycle", condition: onWeb),
        .product(name: "Logging", package: "swift-log"),
      ],
      exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "bcfg2-web",
      dependencies: [
        "ServerSettings", "Databases", "ReportWeb", "Core", "Plugins", "Server", "Commands",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict,
      linkerSettings: staticWeb),
    .target(
      name: "Support",
      dependencies: [
        "COpenSSL", "EventLoop", "XMLRPC", "Identity", "Repository", "ServerSettings", "Databases",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/Support",
      swiftSettings: onLoop),
    .target(
      name: "CoreSupport",
      dependencies: [
        "EventLoop", "XMLRPC", "Identity", "Repository", "ServerSettings", "Databases", "LoopDatabases", "Core",
        "Plugins",
        "Support",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      path: "Tests/CoreSupport",
      swiftSettings: onLoop),
    .executableTarget(
      name: "ExecutorProbe",
      dependencies: ["EventLoop", "Databases", "LoopDatabases", .product(name: "Logging", package: "swift-log")],
      path: "Tests/ExecutorProbe", swiftSettings: onLoop),
    .testTarget(
      name: "AdministrationTests",
      dependencies: [
        "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Core", "Plugins",
        "Administration", "Support", "CoreSupport",
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "CoreTests",
      dependencies: [
        "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Templates", "Core",
        "Plugins", "Support", "CoreSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "EventLoopTests",
      dependencies: ["CLinux", "COpenSSL", "ExecutorProbe", "EventLoop", "Support"],
      swiftSettings: onLoop),
    .testTarget(
      name: "FormatsTests",
      dependencies: ["EventLoop", "XMLRPC", "Formats", "Support"],
      swiftSettings: onLoop),
    .testTarget(
      name: "CommandsTests",
      dependencies: [
        "EventLoop", "ServerSettings", "Commands", "Support",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: onLoop
    ),
    .testTarget(name: "ClientChecksTests", dependencies: ["Repository", "ClientChecks"], swiftSettings: onLoop),
    .testTarget(
      name: "CryptTests", dependencies: ["EventLoop", "Repository", "Crypt", "Support"], swiftSettings: strict),
    .testTarget(name: "DatabasesTests", dependencies: ["Databases", "Support"], swiftSettings: strict),
    .testTarget(
      name: "ReportStoreTests", dependencies: ["Databases", "ReportRecords", "ReportStore", "Support"],
      swiftSettings: strict),
    .testTarget(
      name: "LoopDatabasesTests",
      dependencies: [
        "ExecutorProbe", "EventLoop", "Databases", "LoopDatabases", "Support",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "IdentityTests",
      dependencies: ["Identity", "Support"],
      swiftSettings: onLoop),
    .testTarget(
      name: "LintTests",
      dependencies: ["Formats", "Repository", "ServerSettings", "Lint", "Support", "CoreSupport"],
      swiftSettings: onLoop),
    .testTarget(
      name: "MonitoringTests",
      dependencies: [
        "EventLoop", "XMLRPC", "Monitoring", "Support", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "NetworkingTests",
      dependencies: [
        "CLinux", "EventLoop", "XMLRPC", "Identity", "ServerSettings", "Networking", "Support",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "NIOServerTests",
      dependencies: [
        "CLinux", "EventLoop", "XMLRPC", "Identity", "ServerSettings", "Networking", "NIOServer", "Support",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio", condition: onNIO),
        .product(name: "NIOEmbedded", package: "swift-nio", condition: onNIO),
        .product(name: "NIOSSL", package: "swift-nio-ssl", condition: onNIO),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "PackageFormatsTests",
      dependencies: ["CZlib", "CLZMA", "CZstd", "CBZip2", "PackageSources", "PackageFormats", "Support"],
      swiftSettings: strict),
    .testTarget(
      name: "PackageFetchingTests",
      dependencies: ["EventLoop", "PackageSources", "PackageFormats", "PackageFetching", "Support"],
      swiftSettings: onLoop),
    .testTarget(
      name: "InstanceTagsTests", dependencies: ["XMLRPC", "InstanceTags", "Support"], swiftSettings: strict),
    .testTarget(
      name: "InfoTests",
      dependencies: ["EventLoop", "Repository", "ServerSettings", "Core", "Info", "Support", "CoreSupport"],
      swiftSettings: onLoop),
    .testTarget(name: "PackageSourcesTests", dependencies: ["PackageSources", "Support"], swiftSettings: strict),
    .testTarget(
      name: "PluginsTests",
      dependencies: [
        "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Templates", "PackageSources",
        "InstanceTags", "Databases", "LoopDatabases", "ReportRecords", "Core", "Plugins", "Support", "CoreSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "ProcessTests",
      dependencies: [
        "COpenSSL", "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Core", "Plugins",
        "Server", "InstanceTags", "Databases", "ReportRecords", "ReportStore", "Support", "CoreSupport", "bcfg2-server",
        "bcfg2-packages",
        "bcfg2-report-collector", "bcfg2-reports", "bcfg2-admin", "bcfg2-info", "bcfg2-lint", "bcfg2-crypt",
        "bcfg2-test",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop),
    .testTarget(name: "TextBytesTests", dependencies: ["TextBytes"], swiftSettings: strict),
    .testTarget(name: "ReportRecordsTests", dependencies: ["ReportRecords", "Support"], swiftSettings: strict),
    .testTarget(
      name: "ReportWebTests",
      dependencies: [
        "Databases", "ReportRecords", "ReportStore", "ReportWeb", "Support",
        .product(name: "HTTPTypes", package: "swift-http-types", condition: onWeb),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "RepositoryTests",
      dependencies: [
        "EventLoop", "XMLRPC", "Formats", "Repository", "Support",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "ServerSettingsTests",
      dependencies: [
        "CLinux", "EventLoop", "Formats", "ServerSettings", "Support",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "CLinux", "EventLoop", "XMLRPC", "Formats", "Identity", "Repository", "ServerSettings", "Core", "Plugins",
        "Networking", "Monitoring", "Server", "Support", "CoreSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
      ],
      swiftSettings: onLoop),
    .testTarget(
      name: "TemplatesTests",
      dependencies: ["EventLoop", "Support", "Templates"],
      swiftSettings: onLoop),
    .testTarget(
      name: "XMLRPCTests",
      dependencies: ["XMLRPC", "Support"],
      swiftSettings: strict),
  ] + fuzzTargets
)
