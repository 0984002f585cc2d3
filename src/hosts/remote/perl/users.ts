/** A look at all processes for those that have a device or file. Perl. */
export const usersScript: string = String.raw`
our $distant = qr/ - (?:nfs4?|cifs|smb3?|smbfs|ceph|9p|virtiofs|afs|coda|ncpfs|lustre|beegfs|orangefs|gfs2|ocfs2|autofs|fuse|fuse\..*?|fuseblk) /;

# Mounts whose files are not looked at, because that may hang.
sub hanging { return map { /^(\d+) .*$distant/ ? ($1 => 1) : () } split /\n/, bytes_of($_[0], 1048576) // '' }

# block major:minor inode node, or file path inode
sub users {
  my ($kind, $wanted, $inode, $node) = @_;
  return if !fact('users', "$kind $wanted");
  # Not this script's own.
  %opened = ();
  my @file = $kind eq 'file' ? stat $wanted : ();
  my (@spaces, @unseen, @maps);
  my %hanging = hanging('/proc/self/mountinfo');
  my %known = ((readlink('/proc/self/ns/mnt') // '') => 1);
  opendir my $folder, '/proc';
  my @processes = grep { /^\d+$/ } readdir $folder;
  for my $pid (@processes) {
    my $space = readlink "/proc/$pid/ns/mnt";
    next if !defined $space || $known{$space}++;
    push @spaces, $pid;
    %hanging = (%hanging, hanging("/proc/$pid/mountinfo"));
  }
  for my $pid (@processes) {
    if (!defined readlink "/proc/$pid/ns/mnt" or !opendir my $descriptors, "/proc/$pid/fd") {
      push @unseen, $pid;
      next;
    } else {
      for my $descriptor (grep { /^\d+$/ } readdir $descriptors) {
        my $info = %hanging ? bytes_of("/proc/$pid/fdinfo/$descriptor", 4096) // '' : undef;
        next if defined $info && ($info !~ /^mnt_id:\s+(\d+)/m || $hanging{$1});
        my @stat = stat "/proc/$pid/fd/$descriptor" or next;
        if ($kind eq 'block') {
          next if ($stat[2] & 0170000) != 0060000 || major_of($stat[6]) . ':' . minor_of($stat[6]) ne $wanted;
        } else {
          next if !@file || $stat[0] != $file[0] || $stat[1] != $file[1];
        }
        $info //= bytes_of("/proc/$pid/fdinfo/$descriptor", 4096) // '';
        my ($flags) = $info =~ /^flags:\s+([0-7]+)/m or next;
        next if oct($flags) & 010000000;
        mark 'u', 'open', $pid, oct($flags) & 3 ? 1 : 0;
      }
    }
    my $maps = bytes_of("/proc/$pid/maps", 67108864) // '';
    push @maps, map { "/proc/$pid/maps:$_\n" } grep { index($_, " $inode ") >= 0 } split /\n/, $maps if index($maps, " $inode ") >= 0;
  }
  mark 'u', 'spaces', @spaces;
  mark 'u', 'unseen';
  for my $pid (@unseen) {
    my @stat = stat "/proc/$pid" or next;
    $output .= "/proc/$pid $stat[4]\n";
  }
  mark 'u', 'maps';
  $output .= join '', @maps;
  mark 'u', 'pids', readlink('/proc/self/ns/pid') // '';
  if ($kind eq 'block') {
    mark 'u', 'exclusive';
    $output .= sysopen(my $file, $node, O_RDONLY | O_EXCL | O_NONBLOCK) ? 'free' : $!{EBUSY} ? 'busy' : '';
  }
  mark 's', 0;
  for my $pid (@spaces) {
    text("/proc/$pid/mountinfo");
    text("/proc/$pid/comm");
  }
  for my $pid (@unseen) {
    text("/proc/$pid/status");
    text("/proc/$pid/comm");
  }
  text('/proc/swaps');
}
`
