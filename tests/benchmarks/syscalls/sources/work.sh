# A little of all that a shell asks of the kernel.
set -u; trap 'echo usr1' USR1; trap 'echo exit' EXIT
echo $(pwd) $((1+1)) ${HOME} ~root *; cd /tmp; cd -; umask 022; ulimit -n; ulimit -c 0; times
(exit 3); echo $?; kill -USR1 $$; sleep 0.2 & wait; sleep 5 & kill %1; wait %1; jobs
cat <<END | sort | uniq -c > out
b
a
END
while read -r line; do echo "$line"; done < out
read -t 0.1 x < tree/deep/two.txt; exec 5<>out; echo y >&5; exec 5>&-; [ -f out -a -r out ] && test -x out; [ out -nt tree ] && echo newer
type ls; hash -r; command -v cat; f() { local a=1; return $a; }; f; eval 'echo hi'; printf '%d %s\n' 3 x; echo $RANDOM $PPID $UID
. ./tree/script.sh; exec 3< <(echo sub) || true; cat /dev/fd/3 <&3 || true; mapfile -t lines < out || true
echo x > /nowhere/x; /nonexistent; ./tree/one.txt; ls | false; coproc cat || true; exec true
