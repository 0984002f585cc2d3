/** The walk through a place in the storage, as the shell's script makes it. Perl. */
export const storageScript: string = String.raw`
our ($has_lvm, $top, $locked);

# What is probably asked for, collected by one walk. Whoever reads it looks at it again, and asks for what is missing.
sub fact {
  my ($kind, $about) = @_;
  return 0 if $told{"$kind $about"}++;
  mark 'k', $kind;
  $output .= $about;
  return 1;
}

sub text {
  my $path = shift;
  return $texts{$path} if exists $texts{$path};
  my $text = -f $path ? bytes_of($path, 1048576) : undef;
  fact('text', $path) and given($text, '');
  return $texts{$path} = $text;
}

sub line_of {
  my $text = text(shift) // '';
  $text =~ s/\n\z//;
  return $text;
}

sub names {
  my $path = shift;
  if (!$lists{$path}) {
    my $folder;
    my @names = opendir($folder, $path) ? sort grep { !/^\./ } readdir $folder : ();
    $lists{$path} = \@names;
    fact('list', $path) and given(join '', map { "$_/" } @names);
  }
  return @{$lists{$path}};
}

sub look {
  my $path = shift;
  stat_of($path) if fact('stat', $path);
}

sub sizes {
  my $path = shift;
  sizes_of($path) if fact('statfs', $path);
}

# Zeros at both ends, of which disks are full, are only counted.
sub stretch {
  my ($path, $offset, $length) = @_;
  return if $told{"range $offset $length $path"}++;
  mark 'k', 'range', $offset, $length;
  $output .= $path;
  my $bytes = range_of($path, $offset, $length);
  return given(undef, "$!") if !defined $bytes;
  my $whole = length $bytes;
  $bytes =~ s/\0+\z//;
  my $rest = length $bytes;
  $bytes =~ s/\A\0+//;
  mark 'v', $rest - length $bytes, $whole;
  $output .= $bytes;
  mark 's', 0;
}

sub direct {
  my ($path, $offset, $length) = @_;
  return if $told{"direct $offset $length $path"}++;
  mark 'k', 'direct', $offset, $length;
  $output .= $path;
  given(scalar direct_of($path, $offset, $length), "$!");
}

# The last backup superblocks of XFS.
sub xfs_backups {
  my ($path, $size, $unit, $blocks, $groups) = @_;
  my $first = $groups > 16 ? $groups - 16 : 1;
  for my $group ($first .. $groups - 1) {
    my $offset = $group * $blocks * $unit;
    return if $offset <= 0 || $offset + 4096 > $size;
    direct($path, $offset, 4096) if $offset % 4096 == 0;
  }
}

sub probe {
  my ($path, $size) = @_;
  for my $range (@ranges) {
    my ($from, $offset, $align, $length) = split /:/, $range;
    my $start = $from eq 'end' ? int($size / $align) * $align - $offset : $offset;
    $start = 0 if $start < 0 && $from eq 'end' && $align == 1;
    next if $start < 0 || $start >= $size;
    stretch($path, $start, $size - $start < $length ? $size - $start : $length);
  }
  # What is behind the end of the filesystem, and the block by which ext keeps a second machine out.
  my $head = range_of($path, 0, 2048);
  return if !defined $head;
  $has_lvm = 1 if $head =~ /LABELONE/;
  my ($behind, $room, $block) = (32768, 2048, undef);
  if ($head =~ /^XFSB/) {
    my ($unit, $blocks) = unpack 'x4 N Q>', $head;
    ($behind, $room) = ($unit * $blocks, 131072);
    xfs_backups($path, $size, $unit, unpack 'x84 N N', $head) if length $head >= 92;
  } elsif (length $head == 2048 && unpack('x1080 v', $head) == 0xef53) {
    # s_blocks_count, s_log_block_size, s_feature_incompat with 64bit and mmp, s_mmp_block
    my ($low, $shift, $features, $high, $mmp) = unpack 'x1028 V @1048 V @1120 V @1360 V @1384 Q<', $head;
    return if $shift > 16;
    my $unit = 1024 << $shift;
    $behind = ($features & 128 ? $low + ($high << 32) : $low) * $unit;
    $room = 131072;
    $block = $mmp * $unit if $features & 256;
  }
  stretch($path, $behind, $room) if $behind + $room <= $size && ($room == 2048 || $behind + 131072 < $size);
  stretch($path, $block, 1024) if defined $block && $block + 1024 <= $size;
}

sub number_in {
  my $id = line_of(shift);
  return $id =~ /^\d+:\d+$/ ? $id : ();
}

# A block device by its number: all that sysfs shows of it, and what is below and above it.
sub device {
  my $id = shift;
  return $devices{$id} if $devices{$id};
  my $folder = "/sys/dev/block/$id";
  my %entries = map { $_ => 1 } names($folder);
  my $device = $devices{$id} = { path => undef, size => undef, below => [], above => [] };
  return $device if !%entries;
  my ($name) = (text("$folder/uevent") // '') =~ /^DEVNAME=(.*)$/m;
  my $sectors = line_of("$folder/size");
  return $device if !defined $name || $sectors !~ /^\d+$/;
  ($device->{path}, $device->{size}) = ("/dev/$name", $sectors * 512);
  look($device->{path});
  my %inner = map { $_ => 1 } $entries{device} ? names("$folder/device") : ();
  for my $attribute (@attributes) {
    my ($below, $last) = $attribute =~ m{^(.*)/(.*)$} ? ($1, $2) : ('', $attribute);
    text("$folder/$attribute") if $below eq 'device' ? $inner{$last} : $below eq '' ? $entries{$last} : $entries{$below};
  }
  $has_lvm = 1 if ($texts{"$folder/dm/uuid"} // '') =~ /^LVM-/;
  if ($inner{vpd_pg80}) {
    my $page = "$folder/device/vpd_pg80";
    file_of($page) if fact('bytes', $page);
  }
  push @{$device->{below}}, number_in("$folder/../dev") if $entries{partition};
  if ($entries{slaves}) { push @{$device->{below}}, number_in("$folder/slaves/$_/dev") for names("$folder/slaves") }
  if ($entries{holders}) { push @{$device->{above}}, "holders/$_" for names("$folder/holders") }
  (my $disk = $name) =~ s{/}{!}g;
  for my $entry (grep { index($_, $disk) == 0 } names($folder)) {
    next if !defined text("$folder/$entry/partition");
    push @{$device->{above}}, $entry;
    text("$folder/$entry/$_") for @slices;
  }
  return $device;
}

# Devices, their bytes, and everything below them.
sub devices {
  my @queue = @_;
  while (defined(my $id = shift @queue)) {
    next if $probed{$id}++;
    my $device = device($id);
    push @queue, @{$device->{below}};
    probe($device->{path}, $device->{size}) if defined $device->{path};
  }
}

# From a device up, as long as there is one way; the last one is the top.
sub climb {
  $top = shift;
  my %seen;
  while (!$seen{$top}++) {
    my @above = map { number_in("/sys/dev/block/$top/$_/dev") } @{device($top)->{above}};
    device($_) for @above;
    return if @above != 1;
    devices($above[0]);
    $top = $above[0];
  }
}

# The number of a block device, and what a path is.
sub identified {
  my @stat = stat shift or return (undef, '', undef);
  my $kind = $stat[2] & 0170000;
  my $id = $kind == 0060000 ? major_of($stat[6]) . ':' . minor_of($stat[6]) : undef;
  return ($id, $kind == 0060000 ? 'block' : $kind == 0100000 ? 'file' : 'other', major_of($stat[0]) . ':' . minor_of($stat[0]));
}

sub loops_over {
  my $path = shift;
  my @file = stat $path;
  my @over;
  for my $name (grep { /^loop/ } names('/sys/block')) {
    my $folder = "/sys/block/$name";
    next if !grep { $_ eq 'loop' } names($folder);
    text("$folder/$_") for qw(dev ro size loop/offset);
    my $backing = line_of("$folder/loop/backing_file");
    look($backing);
    my @stat = stat $backing;
    push @over, number_in("$folder/dev") if @stat && @file && $stat[0] == $file[0] && $stat[1] == $file[1];
  }
  return @over;
}

sub image {
  my $path = shift;
  look($path);
  return if (identified($path))[1] ne 'file';
  my @over = loops_over($path);
  if (@over) {
    devices(@over);
    return climb($over[-1]);
  }
  # Everything about an image goes by its real path.
  my $real = real_of($path) // return;
  my @stat = stat $real or return;
  look($real);
  writable($real);
  probe($real, $stat[7]);
  sizes($real);
  users('file', $real, $stat[1], '');
  $locked = 1;
}

sub node {
  my $path = shift;
  look($path);
  my ($id, $kind) = identified($path);
  if ($kind eq 'block') {
    devices($id);
    climb($id);
  } elsif ($kind eq 'file') {
    image($path);
  }
}

sub trimmed {
  my $text = shift;
  $text =~ s/^ +//;
  $text =~ s/ +$//;
  return $text;
}

# Disks that show a serial, a name or all of the marks.
sub disks {
  my ($serial, $wwn, %marks) = @_;
  for my $name (names('/sys/block')) {
    my $id = number_in("/sys/block/$name/dev") // next;
    device($id);
    my $folder = "/sys/dev/block/$id";
    my @shown = map { trimmed($_) } grep { $_ ne '' } map { my $text = $texts{"$folder/$_"} // ''; $text =~ s/\n\z//; $text }
      qw(serial device/serial wwid device/wwid nguid eui);
    my $page = bytes_of("$folder/device/vpd_pg80", 4096) // '';
    if (length $page > 4) {
      (my $text = substr $page, 4) =~ tr/\0//d;
      push @shown, trimmed($text);
    }
    my $fits = grep { $serial ne '' && index($_, $serial) == 0 || $wwn ne '' && substr($_, -length $wwn) eq $wwn } @shown;
    $fits ||= %marks && !grep { line_of("$folder/$_") ne $marks{$_} } keys %marks;
    if ($fits) {
      devices($id);
      climb($id);
    }
  }
}

# locks, kind, path or hints (path image serial wwn, the count of attributes with their values, and these), and names under by-id
sub storage {
  (my $wants_locks, my $kind, my @rest) = @_;
  ($locked, $has_lvm, $top) = ($wants_locks, undef, undef);
  my $mounts = text('/proc/self/mountinfo') // '';
  text($_) for qw(/proc/sys/kernel/osrelease /proc/self/status);
  page_size();
  if ($kind eq 'path') {
    look($rest[0]);
    my (undef, undef, $on) = identified($rest[0]);
    if (defined $on && $on !~ /^0:/) {
      $top = $on;
      devices($top);
    }
  } elsif ($kind eq 'device') {
    node($rest[0]);
  } elsif ($kind eq 'image') {
    image($rest[0]);
  } elsif ($kind eq 'hints') {
    my ($path, $image, $serial, $wwn, $count, @more) = @rest;
    my @marks = splice @more, 0, $count;
    node($path) if $path ne '';
    image($image) if $image ne '';
    disks($serial, $wwn, @marks) if "$path$image" eq '' && ("$serial$wwn" ne '' || @marks);
    look("/dev/disk/by-id/$_") for @more;
  }
  report_lvm() if $has_lvm;
  my %mounted;
  for (split /\n/, $mounts) {
    my (undef, undef, $dev, undef, $point) = split / /;
    next if !$probed{$dev};
    $mounted{$dev} = 1;
    $point =~ s/\\([0-7]{3})/chr oct $1/ge;
    sizes($point);
  }
  if (defined $top && !$mounted{$top}) {
    $locked = 1;
    my $path = device($top)->{path};
    my @stat = defined $path ? stat $path : ();
    users('block', $top, $stat[1], $path) if @stat;
  }
  held_locks() if $locked;
}

sub report_lvm {
  return if !fact('lvm', '');
  my ($code, $text, $words) = captured(lvm_report());
  mark 'v';
  $output .= $text;
  mark 's', $code;
  $output .= $words;
}

sub writable {
  my $path = shift;
  fact('writable', $path) and given(-w $path ? '1' : '');
}

sub page_size {
  return if !fact('page', '');
  my ($size) = (bytes_of('/proc/self/smaps', 1024) // '') =~ /^KernelPageSize:\s+(\d+)/m;
  given($size // '');
}

sub held_locks {
  my $text = text('/proc/locks') // '';
  text("/proc/$_/comm") for $text =~ /^\d+: FLOCK\s+\S+\s+\S+\s+(\d+)/mg;
}
`
