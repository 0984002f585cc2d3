/** Reads what is asked for, and the reads and expectations of a batch, within one process. Perl, as the essential packages of Debian and Ubuntu have it. */
export const coreScript: string = String.raw`use strict;
use Fcntl;
use Errno;
%ENV = (LC_ALL => 'C', PATH => $ENV{PATH});
chdir '/' or exit 1;
umask 077;
$SIG{PIPE} = 'IGNORE';
our ($input, $output, $B, $failed);
our (@runtime, @places, @attributes, @slices, @ranges);
# What was told in this batch already; told once, it stands until a command may have changed it.
our (%told, %texts, %lists, %devices, %probed, %opened);
$output = '';

sub forget { %told = %texts = %lists = %devices = %probed = %opened = () }

sub flush_output {
  while (length $output) {
    my $count = syswrite STDOUT, $output;
    if (defined $count) { substr($output, 0, $count) = '' } elsif (!$!{EINTR}) { exit 1 }
  }
}

sub mark {
  $output .= "\n$B @_\n";
  flush_output() if length $output > 131072;
}

# How a read went, as the shell's script tells it: its bytes, and then why there are none.
sub given {
  my ($body, $why) = @_;
  mark 'v';
  $output .= $body if defined $body;
  mark 's', defined $body ? 0 : 1;
  $output .= ": $why" if !defined $body;
}

sub bytes_of {
  my ($path, $most) = @_;
  # Whoever waits for its other end would wait for ever.
  return '' if -p $path;
  sysopen(my $file, $path, O_RDONLY) or return;
  my $bytes = '';
  my $piece = 16384;
  while (length $bytes < $most) {
    my $count = sysread $file, $bytes, $most - length $bytes < $piece ? $most - length $bytes : $piece, length $bytes;
    if (!defined $count) { next if $!{EINTR}; return }
    last if $count == 0;
    $piece = 131072;
  }
  return $bytes;
}

sub range_of {
  my ($path, $offset, $length) = @_;
  my $file = $opened{$path};
  if (!$file) {
    sysopen($file, $path, O_RDONLY) or return;
    $opened{$path} = $file;
  }
  sysseek($file, $offset, 0) or return;
  my $bytes = '';
  while (length $bytes < $length) {
    my $count = sysread $file, $bytes, $length - length $bytes, length $bytes;
    if (!defined $count) { next if $!{EINTR}; return }
    last if $count == 0;
  }
  return $bytes;
}

sub file_of {
  my $bytes = bytes_of($_[0], 1048576);
  given($bytes, "$!");
}

# Numbers of a device, from the one that stat gives: makedev of glibc.
sub major_of { my $number = shift; return $number >> 8 & 0xfff | $number >> 32 & 0xfffff000 }
sub minor_of { my $number = shift; return $number & 0xff | $number >> 12 & 0xffffff00 }

# By O_PATH, which opens nothing: the kernel says where the path has led.
sub real_of {
  sysopen(my $file, $_[0], 010000000) or return;
  return readlink '/proc/self/fd/' . fileno $file;
}

sub stat_of {
  my $path = shift;
  my @stat = stat $path;
  my @numbers = @stat ? ($stat[2], $stat[0], major_of($stat[6]), minor_of($stat[6]), $stat[1], $stat[7], $stat[4]) : ();
  given(@stat ? sprintf('%x %x %x %x %s %s %s', @numbers) : undef, "$!");
  my $real = real_of($path);
  given(defined $real ? "$real\n" : undef, "$!");
}

# Calls of the kernel that perl has no words for, without loading much. The structure of statfs(2) is the same on these; elsewhere a program tells it.
require Config;
our $numbers = $Config::Config{archname} =~ /^x86_64-linux(?!-gnux32)/ ? { statfs => 137, setsid => 112, pread => 17 }
  : $Config::Config{archname} =~ /^aarch64-linux/ ? { statfs => 43, setsid => 157, pread => 67 }
  : undef;

# Past the kernel's cache, which takes memory that begins with a page.
sub direct_of {
  my ($path, $offset, $length) = @_;
  $numbers && sysopen(my $file, $path, O_RDONLY | Fcntl::O_DIRECT()) or return;
  my $memory = '';
  vec($memory, $length + 4095, 8) = 0;
  my $address = unpack 'J', pack 'P', $memory;
  my $skip = -$address % 4096;
  my $count = syscall $numbers->{pread}, fileno $file, $address + $skip, $length, $offset;
  return $count < 0 ? undef : substr $memory, $skip, $count;
}

# The sizes of a filesystem, and otherwise why there are none.
sub statfs_of {
  my $path = shift;
  if (!$numbers) {
    my ($code, $text, $words) = captured('stat', '-f', '-c', '%t %s %b %f %a', $path);
    return $code == 0 ? $text : (undef, $words);
  }
  my $buffer = "\0" x 256;
  return (undef, "$!") if syscall($numbers->{statfs}, $path, $buffer) != 0;
  my ($type, $size, $blocks, $free, $available) = unpack 'q5', $buffer;
  return sprintf '%x %s %s %s %s', $type & 0xffffffff, $size, $blocks, $free, $available;
}

sub sizes_of { given(statfs_of($_[0])) }

# Runs a program that only looks: its code, its output, and what it said.
sub captured {
  my ($program) = located($_[0]);
  return (127, '', 'not found') if !defined $program;
  pipe(my $from, my $to) && pipe(my $heard, my $saying) or return (126, '', "$!");
  my $pid = fork;
  return (126, '', "$!") if !defined $pid;
  if ($pid == 0) {
    open STDIN, '<', '/dev/null';
    open STDOUT, '>&', $to;
    open STDERR, '>&', $saying;
    $SIG{PIPE} = 'DEFAULT';
    exec { $program } @_;
    exit 127;
  }
  close $to;
  close $saying;
  my %text = (fileno($from) => '', fileno($heard) => '');
  my %open = (fileno($from) => $from, fileno($heard) => $heard);
  while (%open) {
    my $ready = '';
    vec($ready, $_, 1) = 1 for keys %open;
    next if select($ready, undef, undef, undef) < 1;
    for my $fd (keys %open) {
      next if !vec($ready, $fd, 1);
      delete $open{$fd} if !sysread $open{$fd}, $text{$fd}, 65536, length $text{$fd};
    }
  }
  waitpid $pid, 0;
  return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $text{fileno $from}, $text{fileno $heard});
}

sub judged {
  my ($found, $expected) = @_;
  my $holds = $found eq $expected;
  mark 'x', $holds ? 1 : 0;
  $output .= $found;
  $failed = 1 if !$holds;
}

sub unread {
  mark 'x';
  $failed = 1;
}

sub expect_file {
  my ($path, $expected) = @_;
  my $bytes = bytes_of($path, 1048576);
  return unread() if !defined $bytes;
  $bytes =~ s/^[\x09-\x0d ]+//;
  $bytes =~ s/[\x09-\x0d ]+$//;
  judged(unpack('H*', $bytes), $expected);
}

sub expect_range {
  my ($path, $unit, $skip, $count, $expected) = @_;
  delete $opened{$path};
  my $bytes = range_of($path, $unit * $skip, $unit * $count);
  defined $bytes ? judged(unpack('H*', $bytes), $expected) : unread();
}

sub expect_stat {
  my ($path, $expected) = @_;
  my @stat = stat $path;
  return unread() if !@stat;
  judged(sprintf('%x:%s:%x:%x', $stat[0], $stat[1], major_of($stat[6]), minor_of($stat[6])), $expected);
}

# Where a program is, and otherwise why there is none.
sub located {
  my $name = shift;
  my $why = 'missing';
  for my $path ($name =~ m{/} ? $name : map { "$_/$name" } @places) {
    return $path if -f $path && -x _;
    $why = 'refused' if -e $path;
  }
  return (undef, $why);
}
`
